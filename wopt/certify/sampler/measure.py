"""Measuring a sampler: both sides of log Z, the weights' tail, moments, lost modes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Need, require
from wopt.certify.sampler.doubts import doubts_of_exact, doubts_of_modes, doubts_of_weights
from wopt.certify.sampler.lost import MANY, lost_modes
from wopt.certify.sampler.psis import smoothed_importance_weights
from wopt.certify.sampler.report import ModeWeight, SamplerReport
from wopt.certify.sampler.weights import effective_size, log_mean_weight, mean_and_error, moments
from wopt.errors import CapabilityError, DataError
from wopt.flow import Flow, Inverse
from wopt.interfaces.target import Target
from wopt.seeds import generator

__all__ = ["log_weights_of", "measure_flow", "measure_sampler"]


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
    if not isinstance(flow.map, Inverse):
        raise CapabilityError(
            "importance weights need a model that is a start of known density pushed forward to a "
            'target, model = "push_forward"; this one is its target pulled back to data, and the '
            "density of the data is not known"
        )
    provides = Need.NOTHING if target is None else target.provides
    require("an importance weight", Need.POTENTIAL, "the target", provides)
    assert target is not None
    x = x.double().cpu()
    return _usable(-target.potential(x).double() - log_q.double().cpu(), x)


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
    log_weights_of(flow, target, y[:1], log_q[:1])
    assert target is not None
    exact = exact_log_q = None
    if Need.TARGET_SAMPLES in target.provides and flow.chain.provides(Need.INVERSE):
        exact = target.sample(draws, flow.dim, chance).double().cpu()
        with torch.no_grad():
            exact_log_q = flow.log_prob(exact)
    return measure_sampler(target, y, log_q, exact=exact, exact_log_q=exact_log_q, seed=seed)


@torch.no_grad()
def measure_sampler(
    target: Target,
    draws: Tensor,
    log_q: Tensor,
    *,
    exact: Tensor | None = None,
    exact_log_q: Tensor | None = None,
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
        search: Look for modes that the model has lost.
        seed: Of the search.

    Raises:
        DataError: There are too few draws, or none with a finite weight.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> q = GaussianTarget([0.0], [[1.0]])
        >>> x = q.sample(1000, 1, torch.Generator().manual_seed(0))
        >>> found = measure_sampler(q, x, -q.potential(x))
        >>> found.log_z, round(found.ess, 6), found.reliable
        (0.0, 1000.0, True)
    """
    draws, log_q = draws.double().cpu(), log_q.double().cpu()
    log_weights = _usable(-target.potential(draws).double() - log_q, draws)
    if len(log_weights) < 2 or not bool((log_weights > -math.inf).any()):
        raise DataError(
            f"none of {len(draws)} draws of the model has a finite density of model and target: "
            "the maps overflow, or the target has no mass where the model is"
        )
    elbo, elbo_error = mean_and_error(log_weights)
    eubo, eubo_error = _upper_side(target, exact, exact_log_q)
    log_z, log_z_error = log_mean_weight(log_weights)
    ess, smoothed = effective_size(log_weights), smoothed_importance_weights(log_weights)
    finite = draws[torch.isfinite(draws).all(1)]
    lost = None
    if search and draws.shape[1] <= MANY and len(finite) > 1:
        lost = lost_modes(target, finite, log_z, seed)
    known = Need.NORMALISED in target.provides
    doubts = (
        *doubts_of_weights(smoothed, log_z, log_z_error, normalised=known),
        *doubts_of_exact(log_z, log_z_error, ess / len(draws), eubo, eubo_error),
        *doubts_of_modes(lost),
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


def _usable(log_weights: Tensor, draws: Tensor) -> Tensor:
    """Return log weights in which a draw that overflowed, or where V is infinite, has none."""
    good = torch.isfinite(log_weights) & torch.isfinite(draws).all(1)
    return torch.where(good, log_weights, -math.inf)


def _mode_weights(target: Target, draws: Tensor) -> tuple[ModeWeight, ...] | None:
    found = target.components(draws) if len(draws) > 1 else None
    if found is None:
        return None
    weights, posterior = found
    return tuple(
        ModeWeight(float(weight), *mean_and_error(posterior[:, k].double()))
        for k, weight in enumerate(weights)
    )
