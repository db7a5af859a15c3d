"""The measurement of a sampler: both sides of log Z, the weights' tail, moments, lost modes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt.flow.weights import effective_size, log_mean_weight, log_weights, weighted_moments
from wopt.interfaces.target import Target
from wopt.psis import smoothed_importance_weights
from wopt.statistics import mean_and_error
from wopt_posterior.diagnostics.invariance import largest_drift
from wopt_posterior.diagnostics.lost import lost_modes
from wopt_posterior.diagnostics.report import ModeWeight, SamplerReport
from wopt_posterior.diagnostics.truncation import sharpest_edge
from wopt_posterior.diagnostics.truth import known_log_z
from wopt_posterior.diagnostics.warnings_of import (
    warnings_of_chains,
    warnings_of_exact,
    warnings_of_invariance,
    warnings_of_modes,
    warnings_of_truncation,
    warnings_of_weights,
)

__all__ = ["measure_sampler"]


@torch.no_grad()
def measure_sampler(
    target: Target,
    draws: Tensor,
    log_q: Tensor,
    *,
    exact: tuple[Tensor, Tensor] | None = None,
    chains: Tensor | None = None,
    model: Callable[[Tensor], Tensor] | None = None,
    more: Callable[[int], tuple[Tensor, Tensor]] | None = None,
    search: bool = True,
    seed: int = 0,
) -> SamplerReport:
    """Return the errors of a model of the target exp(-V)/Z, estimated at draws.

        E_q[-V - log q]  <=  log Z  <=  E_p[-V - log q],

    the gaps being KL(q | p) and KL(p | q). Between them log Z is estimated by importance
    sampling, and moments of the target by Pareto-smoothed weights.

    Besides k-hat, two contradictions that no figure at the model's draws could show make a report
    unreliable: log Z is known (0 for a normalised target) and the estimate is off by more than five
    errors; or KL(p | q) = EUBO - log Z exceeds log(S/ESS), of which it is at most the expectation.

    Args:
        target: A target known by its potential.
        draws: Draws of the model, shape ``(n, d)``.
        log_q: The model's log-density at the draws, nats, shape ``(n,)``.
        exact: Exact draws of the target, shape ``(m, d)``, with the model's log-density there,
            shape ``(m,)``, if there are any.
        chains: -V - log q at the ends of Metropolis chains of the target, shape ``(c,)``, if there
            are any.
        model: log q at any points, to test whether steps lead to where it is low.
        more: Function from a number to as many other draws and log q there, to test whether the
            draws end where the target does not.
        search: Whether to look for modes, and parts beyond the draws, that the model has lost.
        seed: Seed of the search.

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
    draws, weights = draws.double().cpu(), _weights(target, draws, log_q)
    elbo, elbo_error = mean_and_error(weights)
    eubo, eubo_error = _upper_side(target, exact)
    log_z, log_z_error = log_mean_weight(weights)
    ess, smoothed = effective_size(weights), smoothed_importance_weights(weights)
    log_z_error, fraction = math.hypot(log_z_error, smoothed.tail_error), ess / len(draws)
    finite = draws[torch.isfinite(draws).all(1)]
    lost = lost_modes(target, finite, log_z, seed) if search else None
    drift = largest_drift(target, draws, weights, seed, model) if search else None
    edge = sharpest_edge(target, draws, weights, more) if search else None
    warnings = (
        *warnings_of_weights(smoothed, log_z, log_z_error, known=known_log_z(target)),
        *warnings_of_exact(log_z, log_z_error, fraction, eubo, eubo_error),
        *warnings_of_chains(chains, weights, fraction),
        *(*warnings_of_modes(lost), *warnings_of_invariance(drift), *warnings_of_truncation(edge)),
    )
    return SamplerReport(
        *(elbo, eubo, log_z, log_z_error, ess),
        elbo_error=elbo_error,
        eubo_error=eubo_error,
        k_hat=smoothed.k_hat,
        k_hat_threshold=smoothed.threshold,
        reliable=not warnings,
        warnings=warnings,
        **weighted_moments(smoothed.weights, draws),
        mode_weights=_mode_weights(target, draws, smoothed.weights),
        lost_modes=lost,
        draws=len(draws),
    )


def _weights(target: Target, draws: Tensor, log_q: Tensor) -> Tensor:
    """Return log weights, of which at least one is finite."""
    weights = log_weights(target, draws, log_q)
    if len(weights) < 2 or not bool((weights > -math.inf).any()):
        raise DataError(
            f"none of {len(draws)} draws of the model has a finite density of model and target: "
            "the maps overflow, or the target has no mass where the model is"
        )
    return weights


def _upper_side(
    target: Target, exact: tuple[Tensor, Tensor] | None
) -> tuple[float, float] | tuple[None, None]:
    """Return EUBO and its standard error, if there are exact draws."""
    if exact is None:
        return None, None
    ratio = -target.potential(exact[0]).double().cpu() - exact[1].double().cpu()
    return mean_and_error(torch.where(torch.isnan(ratio), math.inf, ratio))


def _mode_weights(target: Target, draws: Tensor, of_draws: Tensor) -> tuple[ModeWeight, ...] | None:
    good = torch.isfinite(draws).all(1)
    if int(good.sum()) < 2:
        return None
    components = target.components(draws[good])
    if components is None:
        return None
    weights, posterior = components
    weighted = of_draws[good] @ posterior.double()
    return tuple(
        ModeWeight(float(weight), *mean_and_error(posterior[:, k].double()), float(weighted[k]))
        for k, weight in enumerate(weights)
    )
