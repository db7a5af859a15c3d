"""Estimates by importance weights: log Z, the effective sample size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.interfaces import Target
from wopt.statistics import mean_and_error


def log_weights(target: Target, draws: Tensor, log_q: Tensor) -> Tensor:
    """Return the log importance weights  -V - log q,  shape ``(n,)``, float64, in nats.

    A draw that overflowed, or where V is infinite, has log weight minus infinity.

    Args:
        target: A target known by its potential V.
        draws: Draws of the model, shape ``(n, d)``.
        log_q: The model's log-density at the draws, shape ``(n,)``.
    """
    draws = draws.double().cpu()
    values = -target.potential(draws).double() - log_q.double().cpu()
    good = torch.isfinite(values) & torch.isfinite(draws).all(1)
    return torch.where(good, values, -math.inf)


def log_mean_weight(log_weights: Tensor) -> tuple[float, float]:
    """Return log Z = log E_q[w] and its standard error, sd(w) / (mean(w) sqrt S), in nats.

    The log weights have shape ``(n,)``. The mean weight is unbiased for Z, so log Z is
    under-estimated on average.

    Example:
        >>> log_mean_weight(torch.tensor([1.0, 1.0]).double().log())
        (0.0, 0.0)
    """
    value = float(log_weights.logsumexp(0)) - math.log(len(log_weights))
    return value, mean_and_error((log_weights - value).exp()).error


def effective_size(log_weights: Tensor) -> float:
    """Return (sum w)^2 / sum w^2, between 1 and S, from log weights of shape ``(n,)``.

    Example:
        >>> round(effective_size(torch.tensor([0.0, 0.0, -torch.inf])), 6)
        2.0
    """
    return float((2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp())


def log_weights_of(flow: Flow, target: Target | None, x: Tensor, log_q: Tensor) -> Tensor:
    """Return the log importance weights  -V - log q  of a model's draws, shape ``(n,)``, float64.

    Args:
        flow: The model, a start of known density pushed forward.
        target: The measure to which it was carried.
        x: Draws of the model by its audited maps, shape ``(n, d)``: the log_det of a coarse map is
            inexact, and weights are its exponential.
        log_q: The model's log-density at the draws, nats, shape ``(n,)``.

    Raises:
        CapabilityError: The model is not a push-forward, or the target has no potential.
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
