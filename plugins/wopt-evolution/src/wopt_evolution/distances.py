"""Computing distances of an evolution from its exact solution, on held-out particles."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.errors import WoptError
from wopt.interfaces.exact import ExactLaws
from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.statistics import mean_and_error
from wopt.store.distances import Distances

__all__ = ["distances"]

_DRAWS = 20_000
"""Number of draws of the exact law, where it cannot carry particles."""

Density = Callable[[Tensor], Tensor]


@torch.no_grad()
def distances(
    exact: ExactLaws,
    start: Particles,
    now: Particles,
    density: Density,
    step: int,
    time: float,
    rng: torch.Generator,
) -> Distances:
    """Return the distances of particles, ``(n, d)``, and their law from the exact law.

    Args:
        exact: The exact laws.
        start: The particles at time 0.
        now: The same particles at ``time``, in the same order.
        density: The log-density of their law at points ``(n, d)``; it may raise
            :class:`~wopt.errors.WoptError` where it is not known.
        step: Number of steps made.
        time: Time t.
        rng: Generator of draws from the exact law, where it cannot carry particles.
    """
    numbers = _second_moments(exact, now, time)
    carried = None if exact.carry is None else exact.carry(start.points.double(), time)
    if carried is not None:
        gap = (now.points - carried.to(now.points)).double().square().sum(1)
        numbers["w2_at_most"] = math.sqrt(float(_as_double(now).mean(gap)))
    law = None if exact.law is None else exact.law(time)
    if law is not None and now.log_density_start is not None and now.log_det is not None:
        log_ratio = (now.log_density.double() + law.potential(now.points.double())).cpu()
        numbers |= _named("l1", 2 * (1 - (-log_ratio).exp()).clamp(min=0), now)
        if exact.positive:
            numbers |= _divergences(law, log_ratio, now, carried, density, rng)
    return Distances(step, time, **numbers)


def _second_moments(exact: ExactLaws, now: Particles, time: float) -> dict[str, float]:
    if exact.second_moment is None:
        return {}
    known = exact.second_moment(time)
    seen = float(_as_double(now).mean(now.points.double().square().sum(1)))
    return {
        "second_moment": seen,
        "second_moment_exact": known,
        "second_moment_error": abs(seen - known) / known,
    }


def _divergences(
    law: Target,
    log_ratio: Tensor,
    now: Particles,
    carried: Tensor | None,
    density: Density,
    rng: torch.Generator,
) -> dict[str, float]:
    """Return KL(p | p*), and KL(p* | p) by carried particles or by draws."""
    numbers = _named("kl", log_ratio, now)
    draws = law.sample(_DRAWS, now.dim, rng) if carried is None else carried
    try:
        back = -(law.potential(draws).cpu() + density(draws).double().cpu())
    except WoptError:  # a map without inverse has no density at given points
        return numbers
    if carried is not None:
        numbers |= _named("kl_back", back, now)
        # Computed by row, since the noise of paired particles is common and cancels.
        return numbers | _named("sym_kl", log_ratio + back, now)
    numbers |= _named("kl_back", back)
    error = math.hypot(numbers["kl_error"], numbers["kl_back_error"])
    return numbers | {"sym_kl": numbers["kl"] + numbers["kl_back"], "sym_kl_error": error}


def _named(name: str, values: Tensor, of: Particles | None = None) -> dict[str, float]:
    weights = None if of is None or of.weights is None else of.weights.double().cpu()
    mean, error = mean_and_error(values, weights)
    return {name: mean, f"{name}_error": error}


def _as_double(particles: Particles) -> Particles:
    weights = particles.weights
    return Particles(particles.points.double(), None if weights is None else weights.double())
