"""Importance weights and the report of a push-forward flow."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.certify.sampler.measure import measure_sampler
from wopt.certify.sampler.report import SamplerReport
from wopt.certify.sampler.weights import log_weights
from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.interfaces.target import Target
from wopt.seeds import generator

__all__ = ["log_weights_of", "measure_flow"]


def log_weights_of(flow: Flow, target: Target | None, x: Tensor, log_q: Tensor) -> Tensor:
    """Return the log importance weights  -V - log q  of a model's draws, shape ``(n,)``, float64.

    Args:
        flow: The model, a start of known density pushed forward.
        target: The measure that it was carried to.
        x: Draws of the model, by its audited maps: a coarse map has a false log_det, and weights
            are its exponential.
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
    return log_weights(target, x, log_q)


def measure_flow(
    flow: Flow, target: Target | None, draws: int = 10_000, seed: int = 0
) -> SamplerReport:
    """Measure a push-forward model against its target, by the audited maps.

    Exact draws of the target are used where it has them and the maps can be inverted.

    Args:
        flow: The model.
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
    exact = None
    if Capability.TARGET_SAMPLES in target.provides and flow.chain.provides(Capability.INVERSE):
        x = target.sample(draws, flow.dim, chance).double().cpu()
        with torch.no_grad():
            exact = x, flow.log_prob(x)
    return measure_sampler(target, y, log_q, exact=exact, seed=seed)
