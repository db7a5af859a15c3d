"""Importance weights and the report of a push-forward flow."""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.flow import Flow, log_weights_of
from wopt.flow.weights import weighted_moments
from wopt.interfaces.support import Support
from wopt.interfaces.target import Target
from wopt.psis import smoothed_importance_weights
from wopt.seeds import generator
from wopt_posterior.diagnostics.measure import measure_sampler
from wopt_posterior.diagnostics.report import SamplerReport
from wopt_posterior.diagnostics.truth import corrected, truth_of

__all__ = ["measure_flow", "report_within"]


def measure_flow(
    flow: Flow,
    target: Target | None,
    draws: int = 10_000,
    seed: int = 0,
    *,
    steps: int = 0,
    rate: float = 0.2,
) -> SamplerReport:
    """Measure a push-forward model against its target, by the audited maps.

    Exact draws of the target are used where it has them and the maps can be inverted. Moments are
    in the coordinates of the target's author, modes are searched in free ones.

    Args:
        flow: The model, in free coordinates.
        target: The measure to which it was carried.
        draws: Number of draws of the model, and of the target.
        seed: Seed of the draws.
        steps: Steps of rejection and resampling, whose result is measured too; 0: none.
        rate: The fraction of the draws that each of them rejects.

    Raises:
        CapabilityError: The model is not a push-forward, or the target has no potential.
        DataError: No draw has a finite weight.
    """
    rng = generator(seed, "sampler")
    y, log_q = flow.sample_and_log_prob(draws, generator=rng, audit=True)
    log_weights_of(flow, target, y[:1], log_q[:1])  # raises if there are no weights
    assert target is not None
    model = flow.log_prob if flow.chain.provides(Capability.INVERSE) else None
    samples, exact = None, None
    if Capability.TARGET_SAMPLES in target.provides:
        first, second = (target.sample(draws, flow.dim, rng).double().cpu() for _ in range(2))
        samples = first, second
        with torch.no_grad():
            exact = None if model is None else (first, model(first))
    more = functools.partial(flow.sample_and_log_prob, generator=generator(seed, "more"))
    report = measure_sampler(target, y, log_q, exact=exact, model=model, more=more, seed=seed)
    log_w = log_weights_of(flow, target, y, log_q)
    report = _against_truth(target, report, y, log_w, samples, seed)
    if steps:
        again = generator(seed, "rejection")
        draw, known = functools.partial(_drawn, flow, target, again), samples and samples[0]
        better = corrected(target, draw, log_w, known, steps, rate, again)
        report = dataclasses.replace(report, corrected=better)
    return report_within(target.support, report, y, log_w)


def _drawn(flow: Flow, target: Target, rng: torch.Generator, number: int) -> tuple[Tensor, Tensor]:
    """Return draws of a model and their log importance weights."""
    y, log_q = flow.sample_and_log_prob(number, generator=rng, audit=True)
    return y.double().cpu(), log_weights_of(flow, target, y, log_q)


def _against_truth(
    target: Target,
    report: SamplerReport,
    y: Tensor,
    log_weights: Tensor,
    samples: tuple[Tensor, Tensor] | None,
    seed: int,
) -> SamplerReport:
    """Return a report with errors, where the truth is known, and the target's own figures."""
    y = y.double().cpu()
    good = y.isfinite().all(1)
    weights = smoothed_importance_weights(log_weights).weights
    own = y if target.support is None else target.support(y)[0]
    figures = target.figures(own[good], weights[good])
    found = report.log_z, report.elbo
    truth = truth_of(target, y[good], weights[good], found, samples, seed)
    return dataclasses.replace(report, truth=truth, figures=figures)


def report_within(
    support: Support | None, report: SamplerReport, y: Tensor, log_weights: Tensor
) -> SamplerReport:
    """Return a report with moments and lost modes in a constrained target's coordinates.

    Args:
        support: The bijection from free coordinates; ``None`` changes nothing.
        report: The report in free coordinates.
        y: The draws in free coordinates, shape ``(n, d)``.
        log_weights: Log weights of the draws, nats, shape ``(n,)``.
    """
    if support is None:
        return report
    x = support(y.double().cpu())[0]
    found = weighted_moments(smoothed_importance_weights(log_weights).weights, x)
    lost = report.lost_modes and tuple(
        dataclasses.replace(mode, location=_mapped(support, mode.location))
        for mode in report.lost_modes
    )
    return dataclasses.replace(report, **found, lost_modes=lost)


def _mapped(support: Support, location: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(support(torch.tensor([location], dtype=torch.float64))[0][0].tolist())
