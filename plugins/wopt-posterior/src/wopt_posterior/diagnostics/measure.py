"""Measuring a sampler: both sides of log Z, the weights' tail, moments, and what is missing."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import DataError
from wopt.flow import Flow
from wopt.interfaces import Budget, Support, Target
from wopt.psis import Smoothed, smoothed_importance_weights
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt_measures import effective_size, log_weights, log_weights_of
from wopt_posterior.diagnostics.compare import Comparison, Proposals, bridge, bridge_error, compared
from wopt_posterior.diagnostics.report import (
    LostMode,
    ModeWeight,
    SamplerReport,
    corrected,
    known_log_z,
    truth_of,
)
from wopt_posterior.reference import Reference, density_of, mode_of, reference_of

_EVEN = 1e-3
"""Nats by which the largest log weight may exceed the mean before the tail of weights matters."""
_ERRORS = 5.0
"""Standard errors beyond which log Z is not the one that is known."""
_ROWS, _SECONDS = 2000, 3.0
"""Points among which modes are told apart, and CPU seconds of a reference sample."""


@torch.no_grad()
def measure_sampler(
    target: Target,
    proposals: Tensor,
    log_q: Tensor,
    *,
    drawn: Reference | None = None,
    reference: Reference | None = None,
    model: Callable[[Tensor], Tensor] | None = None,
    support: Support | None = None,
    names: Sequence[str] = (),
    seed: int = 0,
) -> SamplerReport:
    """Return the errors of a model of the target exp(-V)/Z, and of draws made by it.

        E_q[-V - log q]  <=  log Z  <=  E_p[-V - log q],

    the gaps being KL(q | p) and KL(p | q). Between them log Z is estimated by bridge sampling,
    which for weighted draws is importance sampling. By how much it differs from that by the
    reference sample counts as an error of it, and so does the error of the missing fraction e:
    draws without that part have log Z + log(1 - e).

    The draws are reliable if a reference sample of the target, made independently, agrees with
    them; if the tail of the weights that they carry is not too heavy (k-hat); and if log Z, where
    it is known, is found.

    Args:
        proposals: Draws of the model, shape ``(n, d)``.
        log_q: The model's log-density at them, nats, shape ``(n,)``.
        drawn: Draws of the target that were made of these, family k of the k-th; by default
            these, with Pareto-smoothed weights. Others need ``model``.
        reference: A reference sample of the target; without one, or without the model's density,
            nothing is said of mass that the draws miss.
        model: log q at any points, from shape ``(n, d)`` to ``(n,)``.
        support: Bijection from these free coordinates to those of moments and of locations.

    Raises:
        DataError: There are too few draws, or none with a finite weight.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> q = NormalTarget([0.0], [[1.0]])
        >>> x = q.sample(1000, 1, torch.Generator().manual_seed(0))
        >>> report = measure_sampler(q, x, -q.potential(x))
        >>> abs(report.log_z) < 1e-9, round(report.ess, 6), report.reliable
        (True, 1000.0, True)
    """
    proposals, log_w = proposals.double().cpu(), _weights(target, proposals, log_q)
    smoothed, warnings = smoothed_importance_weights(log_w), list[str]()
    if drawn is None:
        drawn, at, warnings = weighted(proposals, smoothed), log_w, _of_weights(smoothed)
    else:
        assert model is not None
        at = _log_ratio(target, model, drawn.points)
    log_z = bridge(log_w, at, drawn.weights)
    error = bridge_error(log_w, at, drawn, log_z)
    warnings += _of_constant(known_log_z(target), log_z, error)
    (elbo, elbo_error), own = mean_and_error(log_w), _own(support)
    found, lost, upper = None, None, _upper_side(None, log_w)
    if reference is not None and model is not None:
        there, rng = _log_ratio(target, model, reference.points), generator(seed, "compare")
        upper = _upper_side(reference, there)
        found = compared(drawn, at, reference, there, Proposals(proposals, log_w), rng)
        lost = _lost_modes(target, drawn, reference, found, own, rng)
        error = math.hypot(error, log_z - bridge(log_w, there, reference.weights), found.error)
        warnings += _of_comparison(found, drawn, names, own)
    return SamplerReport(
        *(elbo, upper[0], log_z, error, effective_size(log_w)),
        *(smoothed.k_hat, smoothed.threshold, not warnings, tuple(warnings)),
        **dataclasses.replace(drawn, points=own(drawn.points)).moments(),
        elbo_error=elbo_error,
        eubo_error=upper[1],
        mode_weights=_mode_weights(target, proposals, drawn),
        lost_modes=lost,
        missing=None if found is None else found.missing,
        missing_error=None if found is None else found.error,
        ascents=0 if reference is None else reference.ascents,
        draws=len(proposals),
    )


def _upper_side(
    reference: Reference | None, there: Tensor
) -> tuple[float, float] | tuple[None, None]:
    """Return EUBO and its standard error, if there are exact draws."""
    exact = reference is not None and reference.is_exact
    return mean_and_error(there) if exact else (None, None)


def weighted(proposals: Tensor, smoothed: Smoothed) -> Reference:
    """Return a model's draws ``(n, d)`` and their weights as a sample, each draw a family.

    Example:
        >>> made = weighted(torch.ones(2, 1), smoothed_importance_weights(torch.zeros(2)))
        >>> made.weights.tolist()
        [0.5, 0.5]
    """
    weights = smoothed.weights
    # A draw without a weight may have overflowed.
    points = torch.where(weights[:, None] > 0, proposals, 0.0)
    return Reference(points, weights, torch.arange(len(points)))


def _log_ratio(target: Target, model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return -V - log q at points of the target, infinite where the model has no density."""
    value = -target.potential(x).double().cpu() - model(x).double().cpu()
    return torch.where(torch.isnan(value), math.inf, value)


def _own(support: Support | None) -> Callable[[Tensor], Tensor]:
    """Return the map from free coordinates to those of the target's author."""
    return (lambda x: x) if support is None else (lambda x: support(x)[0])


def _of_weights(smoothed: Smoothed) -> list[str]:
    """Return a warning where the tail of the weights is too heavy."""
    # k-hat has no scale: it is the shape of a tail, however little that is.
    even = float(smoothed.log_weights.max()) + math.log(len(smoothed.log_weights)) < _EVEN
    if even or smoothed.k_hat <= smoothed.threshold:
        return []
    return [
        f"k-hat {smoothed.k_hat:.2g} is above {smoothed.threshold:.2g}: the weights have no "
        "finite variance or too few draws, so log Z, moments and their errors may be far off"
    ]


def _of_constant(known: float | None, log_z: float, error: float) -> list[str]:
    """Return a warning where log Z is known and was not found."""
    if known is None or abs(log_z - known) <= math.hypot(_ERRORS * error, 1e-3):
        return []
    return [
        f"log Z is known to be {known:.6g} and {log_z:.3g} +- {error:.2g} was found: the "
        "model's draws do not see all of the target, or what it says of itself is false"
    ]


def _of_comparison(
    found: Comparison | None,
    drawn: Reference,
    names: Sequence[str],
    own: Callable[[Tensor], Tensor],
) -> list[str]:
    """Return warnings where the reference sample and the draws do not agree."""
    warnings: list[str] = []
    if found is None:
        return warnings
    names = names or [f"x{j}" for j in range(drawn.points.shape[1])]
    if not found.decides:
        warnings.append(
            f"up to {found.most:.0%} of the target's mass may be missing without a sign of it: the "
            "reference sample is too small or too uneven to say more; give a larger budget"
        )
    if found.lacks:
        where = ""
        if len(found.where):
            there, here = own(found.where), own(drawn.points)
            away = (there.mean(0) - here.mean(0)).abs() / here.std(0).clamp_min(1e-300)
            j = int(away.nan_to_num(nan=0.0).argmax())
            levels = torch.tensor([0.05, 0.5, 0.95]).to(there)
            low, middle, high = there[:, j].quantile(levels).tolist()
            where = f", where {names[j]} is {low:.3g} to {high:.3g}, mostly near {middle:.3g}"
        warnings.append(
            f"the reference sample has {found.missing:.2g} +- {found.error:.1g} of the target's "
            f"mass where the model has almost no draw{where}: log Z and moments lack that part"
        )
    if found.differs:
        mean, spread = found.differences.abs()
        j = int(torch.maximum(mean, spread).argmax())
        what = "place" if mean[j] > spread[j] else "spread"
        warnings.append(
            f"the {what} of {names[j]} among the draws is not that among the reference sample, by "
            f"{max(float(mean[j]), float(spread[j])):.2g} errors: give a larger budget"
        )
    return warnings


def _lost_modes(
    target: Target,
    drawn: Reference,
    reference: Reference,
    found: Comparison,
    own: Callable[[Tensor], Tensor],
    rng: torch.Generator,
) -> tuple[LostMode, ...]:
    """Return the modes that hold what is missing: parts of the reference without a draw."""
    if not (found.lacks and len(found.where)):
        return ()
    rows = torch.randperm(len(reference.points), generator=rng)[:_ROWS]
    points, density = reference.points[rows], density_of(target)
    part, value = mode_of(density, points, rng), density(points)[0]
    scale = points.std(0).clamp_min(1e-300)
    some = drawn.points[drawn.weights > 0][:_ROWS]
    of_draws = part[torch.cdist(some / scale, points / scale).argmin(1)]
    of_lost = part[torch.cdist(found.where[:_ROWS] / scale, points / scale).argmin(1)]
    weights = reference.weights[rows] / reference.weights[rows].sum()
    return tuple(
        LostMode(
            tuple(own(points[part == k].mean(0)[None])[0].tolist()),
            float(value[part == k].max()),
            float(weights[part == k].sum()),
            float((of_draws == k).double().mean()),
        )
        for k in of_lost.unique().tolist()
        if not bool((of_draws == k).any())
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


def _mode_weights(
    target: Target, proposals: Tensor, drawn: Reference
) -> tuple[ModeWeight, ...] | None:
    good = proposals[proposals.isfinite().all(1)]
    known = target.components(good) if len(good) > 1 else None
    among = target.components(drawn.points)
    if known is None or among is None:
        return None
    weights, posterior = known
    mean, _ = drawn.mean(among[1].double())
    return tuple(
        ModeWeight(float(weight), *mean_and_error(posterior[:, k].double()), float(mean[k]))
        for k, weight in enumerate(weights)
    )


def measure_flow(
    flow: Flow,
    target: Target | None,
    draws: int = 10_000,
    seed: int = 0,
    *,
    reference: Reference | None = None,
    budget: Budget | None = None,
    steps: int = 0,
    rate: float = 0.2,
) -> SamplerReport:
    """Measure a push-forward model against its target, by the audited maps.

    Exact draws of the target are used where it has them and the maps can be inverted. Moments are
    in the coordinates of the target's author.

    Args:
        draws: Number of draws of the model, and of the target.
        reference: A reference sample; exact draws, or a sample made here, by default.
        budget: CPU seconds of that sample.
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
    samples = None
    if Capability.TARGET_SAMPLES in target.provides:
        first, second = (target.sample(draws, flow.dim, rng).double().cpu() for _ in range(2))
        samples, reference = (first, second), Reference.exact(first)
    elif reference is None and model is not None:
        reference = reference_of(target, flow.dim, seed, budget or Budget(_SECONDS))
    report = measure_sampler(
        target,
        y,
        log_q,
        reference=reference,
        model=model,
        support=target.support,
        names=target.names or (),
        seed=seed,
    )
    log_w = log_weights_of(flow, target, y, log_q)
    report = _against_truth(target, report, y, log_w, samples, seed)
    if steps:
        again = generator(seed, "rejection")
        draw, known = functools.partial(_drawn, flow, target, again), samples and samples[0]
        better = corrected(target, draw, log_w, known, steps, rate, again)
        report = dataclasses.replace(report, corrected=better)
    return report


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
