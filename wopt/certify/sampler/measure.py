"""Measuring a sampler: both sides of log Z, the weights' tail, moments, lost modes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.certify.sampler.doubts import (
    doubts_of_chains,
    doubts_of_drift,
    doubts_of_exact,
    doubts_of_modes,
    doubts_of_weights,
)
from wopt.certify.sampler.invariance import largest_drift
from wopt.certify.sampler.lost import MANY, lost_modes
from wopt.certify.sampler.psis import smoothed_importance_weights
from wopt.certify.sampler.report import ModeWeight, SamplerReport
from wopt.certify.sampler.weights import effective_size, log_mean_weight, moments
from wopt.errors import DataError
from wopt.interfaces.target import Target
from wopt.statistics import mean_and_error

__all__ = ["measure_sampler", "usable"]


@torch.no_grad()
def measure_sampler(
    target: Target,
    draws: Tensor,
    log_q: Tensor,
    *,
    exact: Tensor | None = None,
    exact_log_q: Tensor | None = None,
    chains: Tensor | None = None,
    search: bool = True,
    seed: int = 0,
) -> SamplerReport:
    """Return what draws of a model say of it and of its target exp(-V)/Z.

        E_q[-V - log q]  <=  log Z  <=  E_p[-V - log q],

    the gaps being KL(q | p) and KL(p | q). Between them log Z is estimated by importance
    sampling, and moments of the target by Pareto-smoothed weights.

    Beside k-hat two contradictions make a report unreliable that no figure at the model's draws
    could show: log Z is known (0, a normalised target) and the estimate is off by more than five
    errors; or KL(p | q) = EUBO - log Z exceeds log(S/ESS), of which it is at most the expectation.

    Args:
        target: Known by its potential.
        draws: Of the model, shape ``(n, d)``.
        log_q: The model's log-density there, shape ``(n,)``.
        exact: Draws of the target, shape ``(m, d)``, if there are any.
        exact_log_q: The model's log-density there.
        chains: -V - log q where Metropolis chains of the target are, shape ``(c,)``, if there are
            any.
        search: Look for modes that the model has lost.
        seed: Of the search.

    Raises:
        DataError: There are too few draws, or none with a finite weight.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> q = GaussianTarget([0.0], [[1.0]])
        >>> x = q.sample(1000, 1, torch.Generator().manual_seed(0))
        >>> report = measure_sampler(q, x, -q.potential(x))
        >>> report.log_z, round(report.ess, 6), report.reliable
        (0.0, 1000.0, True)
    """
    draws, log_q = draws.double().cpu(), log_q.double().cpu()
    log_weights = usable(-target.potential(draws).double() - log_q, draws)
    if len(log_weights) < 2 or not bool((log_weights > -math.inf).any()):
        raise DataError(
            f"none of {len(draws)} draws of the model has a finite density of model and target: "
            "the maps overflow, or the target has no mass where the model is"
        )
    elbo, elbo_error = mean_and_error(log_weights)
    eubo, eubo_error = _upper_side(target, exact, exact_log_q)
    log_z, log_z_error = log_mean_weight(log_weights)
    ess, smoothed = effective_size(log_weights), smoothed_importance_weights(log_weights)
    log_z_error = math.hypot(log_z_error, smoothed.tail_error)
    finite = draws[torch.isfinite(draws).all(1)]
    lost = None
    if search and draws.shape[1] <= MANY and len(finite) > 1:
        lost = lost_modes(target, finite, log_z, seed)
    known = Capability.NORMALISED in target.provides
    doubts = (
        *doubts_of_weights(smoothed, log_z, log_z_error, normalised=known),
        *doubts_of_exact(log_z, log_z_error, ess / len(draws), eubo, eubo_error),
        *doubts_of_chains(chains, log_weights, ess / len(draws)),
        *doubts_of_modes(lost),
        *doubts_of_drift(largest_drift(target, draws, log_weights, seed) if search else None),
    )
    m, m_error, s, s_error = (tuple(v.tolist()) for v in moments(smoothed.weights, draws))
    return SamplerReport(
        *(elbo, elbo_error, eubo, eubo_error, log_z, log_z_error),
        *(ess, smoothed.k_hat, smoothed.threshold, not doubts, doubts),
        *(m, m_error, s, s_error),
        mode_weights=_mode_weights(target, finite),
        lost_modes=lost,
        draws=len(draws),
    )


def _upper_side(
    target: Target, exact: Tensor | None, log_q: Tensor | None
) -> tuple[float, float] | tuple[None, None]:
    """Return EUBO and its standard error, where there are exact draws."""
    if exact is None or log_q is None:
        return None, None
    ratio = -target.potential(exact).double().cpu() - log_q.double().cpu()
    return mean_and_error(torch.where(torch.isnan(ratio), math.inf, ratio))


def usable(log_weights: Tensor, draws: Tensor) -> Tensor:
    """Return log weights in which a draw that overflowed, or where V is infinite, has none."""
    good = torch.isfinite(log_weights) & torch.isfinite(draws).all(1)
    return torch.where(good, log_weights, -math.inf)


def _mode_weights(target: Target, draws: Tensor) -> tuple[ModeWeight, ...] | None:
    components = target.components(draws) if len(draws) > 1 else None
    if components is None:
        return None
    weights, posterior = components
    return tuple(
        ModeWeight(float(weight), *mean_and_error(posterior[:, k].double()))
        for k, weight in enumerate(weights)
    )
