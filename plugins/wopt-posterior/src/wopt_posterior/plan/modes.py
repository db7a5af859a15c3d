"""A check for separated modes of a target by a few chains, before a sampler is planned."""

from __future__ import annotations

import time

from torch import Tensor

from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.plan.speed import speed_class
from wopt.seeds import generator
from wopt.train.problem import Problem
from wopt_posterior.chains import annealed_chains, density_of, mode_separation

__all__ = ["ANNEALING", "POINTS", "density_seconds", "modes_apart"]

ANNEALING, POINTS = 1000, 500
"""Density evaluations with gradient per chain for annealing and rounds, a typical number; points
of a timed evaluation."""

_FEW = 4
"""Number of timed evaluations."""

_CHAINS, _SHARE = (200, 100), 0.1
"""Numbers of chains that look for modes, and the fraction of a budget that they take at most; see
docs/posteriors.md."""

_COLUMNS = 24
"""Number of columns beyond which modes are not looked for: a thousand chains are then too few to
train a map on alone."""


def density_seconds(target: Target, x: Tensor) -> float:
    """Return the CPU seconds of one evaluation of the density with its gradient at 500 points.

    Args:
        target: A target known by its potential.
        x: Points of the evaluation, shape ``(n, d)``; the first 500 are used.
    """
    density, laps = density_of(target), []
    for _ in range(_FEW):
        now = time.process_time()
        density(x[:POINTS])
        laps.append(time.process_time() - now)
    return min(laps) * POINTS / len(x[:POINTS])


def modes_apart(problem: Problem, train: Particles, budget: float) -> float:
    """Return the fraction of chains outside the target's largest mode.

    It is 0 where the budget does not pay for chains, or there are too many columns.

    Args:
        problem: A problem whose target is known by its potential.
        train: The particles at the start.
        budget: CPU seconds of the whole run.
    """
    target = problem.objective.target
    if target is None or problem.log_density is None or train.dim > _COLUMNS:
        return 0.0
    a_chain = ANNEALING * speed_class(density_seconds(target, train.points)) / POINTS
    count = next((n for n in _CHAINS if n * a_chain <= _SHARE * budget), 0)
    if not count:
        return 0.0
    rng = generator(problem.seed, "modes", device=train.points.device)
    return mode_separation(target, annealed_chains(target, train.points, count, rng), rng)
