"""Checks of an objective's declared convexity and minimum."""

from __future__ import annotations

import math

import torch

from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.statistics import mean_and_error
from wopt.testing.checks import LawError
from wopt.testing.random_laws import ConvexMap, displaced, normal_particles

__all__ = ["check_convexity", "check_minimum"]

_PAIRS, _PARTICLES = 24, 60
_SCALES = (0.3, 1.0, 0.6, 2.0)
_TIMES = (0.25, 0.5, 0.75)
_LAWS, _ROWS, _DESCENT = 10, 200, 40
_ERRORS = 5.0


def check_convexity(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check declared convexity along generalised geodesics between random laws.

        G(rho_t) <= (1 - t) G(rho_0) + t G(rho_1) - lambda t (1 - t) |T_0 - T_1|^2 / 2.

    The laws are images of one set of normal particles under gradients of convex functions, so all
    terms are means over the same particles, and sampling noise cancels.

    Args:
        objective: An objective; nothing is checked unless it declares a convexity.
        dim: The dimension d.
        seed: Seed of the laws.

    Raises:
        LawError: The energy lies above the chord.
    """
    claimed = objective.convexity
    if claimed is None:
        return []
    rng = torch.Generator().manual_seed(seed)
    for pair in range(_PAIRS):
        base = normal_particles(_PARTICLES, dim, rng)
        first, second = (
            ConvexMap.draw(dim, _SCALES[(pair + k) % len(_SCALES)], rng) for k in (0, pair // 4)
        )
        ends = [displaced(base, first, second, t) for t in (0.0, 1.0)]
        g = [float(objective.energy(end)) for end in ends]
        distance = float((ends[0].points - ends[1].points).square().sum(1).mean())
        for t in _TIMES:
            energy = float(objective.energy(displaced(base, first, second, t)))
            chord = (1 - t) * g[0] + t * g[1] - claimed * t * (1 - t) * distance / 2
            scale = 1 + abs(energy) + abs(g[0]) + abs(g[1]) + abs(claimed) * distance
            if math.isfinite(chord) and energy > chord + 1e-7 * scale:
                raise LawError(
                    f"{type(objective).__name__} declares convexity {claimed:g}, and at t = {t:g} "
                    f"of a geodesic between two laws in {dim} dimension(s) its energy is "
                    f"{energy:.6g}, above {chord:.6g}, the most that this allows"
                )
    return [f"convexity_is_{claimed:g}"]


def check_minimum(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check that no random law, and no descent, has an energy below the declared minimum.

    Descent changes the parameters of a map, and the energy is evaluated on other particles, with
    five standard errors for their noise.

    Args:
        objective: An objective; nothing is checked unless it declares a minimum.
        dim: The dimension d.
        seed: Seed of the laws.

    Raises:
        LawError: The energy of a law lies below the minimum.
    """
    claimed = objective.minimum
    if claimed is None:
        return []
    rng = torch.Generator().manual_seed(seed + 1)
    maps = [ConvexMap.draw(dim, _SCALES[k % len(_SCALES)], rng) for k in range(_LAWS)]
    base = normal_particles(_ROWS, dim, rng)
    best = min(maps, key=lambda one: _finite_energy(objective, displaced(base, one, one, 0)))
    maps.append(_descend(objective, base, best))
    for one in maps:
        fresh = normal_particles(_ROWS, dim, rng)
        at = displaced(fresh, one, one, 0.0)
        energy = float(objective.energy(at))
        allowance = _ERRORS * _standard_error(objective, at) + 1e-6 * (1 + abs(claimed))
        if energy < claimed - allowance:
            raise LawError(
                f"{type(objective).__name__} declares minimum {claimed:g}, and a law in {dim} "
                f"dimension(s) has energy {energy:.6g}"
            )
    return [f"minimum_is_{claimed:g}"]


def _descend(objective: Objective, base: Particles, first: ConvexMap) -> ConvexMap:
    """Return the map after a few steps of Adam on the energy."""
    parameters = [p.clone().requires_grad_() for p in first.parameters]
    optimiser = torch.optim.Adam(parameters, lr=0.05)
    for _ in range(_DESCENT):
        one = ConvexMap(*parameters)
        energy = objective.energy(displaced(base, one, one, 0.0))
        if not bool(torch.isfinite(energy)):
            break
        optimiser.zero_grad()
        energy.backward()
        optimiser.step()
    return ConvexMap(*(p.detach() for p in parameters))


def _finite_energy(objective: Objective, at: Particles) -> float:
    value = float(objective.energy(at))
    return value if math.isfinite(value) else math.inf


def _standard_error(objective: Objective, at: Particles) -> float:
    """Return the energy's standard error, by contributions or by five groups of particles."""
    values = objective.contributions(at)
    if values is not None:
        return mean_and_error(values).error
    groups = [objective.energy(at.rows(slice(k, None, 5))) for k in range(5)]
    return mean_and_error(torch.stack(groups)).error
