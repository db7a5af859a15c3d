"""Measuring a sampler: both sides of log Z, the weights' tail, moments, lost modes."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import DataError
from wopt.flow import (
    Flow,
    effective_size,
    log_mean_weight,
    log_weights,
    log_weights_of,
    weighted_moments,
)
from wopt.interfaces import Support, Target
from wopt.psis import smoothed_importance_weights
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt_posterior.diagnostics.draws import largest_drift, sharpest_edge
from wopt_posterior.diagnostics.modes import lost_modes
from wopt_posterior.diagnostics.report import (
    ModeWeight,
    SamplerReport,
    corrected,
    known_log_z,
    truth_of,
)
from wopt_posterior.diagnostics.warnings_of import (
    warnings_of_chains,
    warnings_of_exact,
    warnings_of_invariance,
    warnings_of_modes,
    warnings_of_truncation,
    warnings_of_weights,
)

__all__ = ["measure_flow", "measure_sampler", "report_within"]


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
    model = flow.log_prob if Capability.INVERSE in flow.chain.provides else None
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
