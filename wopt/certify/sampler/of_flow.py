"""Importance weights and the report of a push-forward flow."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.certify.sampler.measure import measure_sampler
from wopt.certify.sampler.report import SamplerReport
from wopt.certify.sampler.weights import log_weights, moments
from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.interfaces.support import Support
from wopt.interfaces.target import Target
from wopt.psis import smoothed_importance_weights
from wopt.seeds import generator

__all__ = ["log_weights_of", "measure_flow", "report_within"]


def log_weights_of(flow: Flow, target: Target | None, x: Tensor, log_q: Tensor) -> Tensor:
    """Return the log importance weights  -V - log q  of a model's draws, shape ``(n,)``, float64.

    Args:
        flow: The model, a start of known density pushed forward.
        target: The measure that it was carried to.
        x: Draws of the model, as it gives them, by its audited maps: a coarse map has a false
            log_det, and weights are its exponential.
        log_q: Their log-density.

    Raises:
        CapabilityError: The model is no push-forward, or the target has no potential.
    """
    if flow.pulls_back:
        raise CapabilityError(
            "importance weights need a model that is a start of known density pushed forward to a "
            'target, model = "push_forward"; this one is its target pulled back to data, and the '
            "density of the data is not known"
        )
    provides = Capability.NOTHING if target is None else target.provides
    require("an importance weight", Capability.POTENTIAL, "the target", provides)
    assert target is not None
    x, log_q = x.double().cpu(), log_q.double().cpu()
    if flow.chain.support is not None:
        x, log_det = flow.chain.support.inverse(x)
        log_q = log_q - log_det
    return log_weights(target, x, log_q)


def measure_flow(
    flow: Flow, target: Target | None, draws: int = 10_000, seed: int = 0
) -> SamplerReport:
    """Measure a push-forward model against its target, by the audited maps.

    Exact draws of the target are used where it has them and the maps can be inverted. Moments are
    in the coordinates of the target's author, modes are looked for in free ones.

    Args:
        flow: The model, in free coordinates.
        target: The measure that it was carried to.
        draws: How many of the model, and of the target.
        seed: Of the draws.

    Raises:
        CapabilityError: The model is no push-forward, or the target has no potential.
        DataError: No draw has a finite weight.
    """
    chance = generator(seed, "sampler")
    y, log_q = flow.sample_and_log_prob(draws, generator=chance, audit=True)
    log_weights_of(flow, target, y[:1], log_q[:1])  # raises where there are none
    assert target is not None
    model = flow.log_prob if flow.chain.provides(Capability.INVERSE) else None
    exact = None
    if model is not None and Capability.TARGET_SAMPLES in target.provides:
        x = target.sample(draws, flow.dim, chance).double().cpu()
        with torch.no_grad():
            exact = x, model(x)
    report = measure_sampler(target, y, log_q, exact=exact, model=model, seed=seed)
    return report_within(target.support, report, y, log_weights_of(flow, target, y, log_q))


def report_within(
    support: Support | None, report: SamplerReport, y: Tensor, log_weights: Tensor
) -> SamplerReport:
    """Return a report with moments and lost modes where a constrained target lives.

    Args:
        support: The bijection from free coordinates; ``None`` changes nothing.
        report: Of free coordinates.
        y: The draws in these, shape ``(n, d)``.
        log_weights: Theirs, shape ``(n,)``.
    """
    if support is None:
        return report
    x = support(y.double().cpu())[0]
    found = moments(smoothed_importance_weights(log_weights).weights, x)
    lost = report.lost_modes and tuple(
        dataclasses.replace(mode, location=_mapped(support, mode.location))
        for mode in report.lost_modes
    )
    return dataclasses.replace(report, **found, lost_modes=lost)


def _mapped(support: Support, location: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(support(torch.tensor([location], dtype=torch.float64))[0][0].tolist())
