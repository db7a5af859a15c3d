"""Whether a target has modes apart, as few chains tell before a sampler is planned."""

from __future__ import annotations

import time

from torch import Tensor

from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.plan.speed import speed_class
from wopt.seeds import generator
from wopt.train.chains import annealed, apart, density_of
from wopt.train.problem import Problem

__all__ = ["ANNEALING", "POINTS", "density_seconds", "modes_apart"]

ANNEALING, POINTS = 1000, 500
"""Densities with gradients a chain that annealing and rounds take, 300 to 1,500 measured; points of
a timed evaluation."""

_FEW = 4
"""Timed evaluations."""

_CHAINS, _SHARE = (200, 100), 0.1
"""How many chains look for modes, and the share of a budget that they take at most. Of 31 laws and
posteriors (docs/posteriors.md) 200 told six that have modes apart (9 % or more of them outside the
largest part), missed one in twenty dimensions, and told no other (0)."""

_COLUMNS = 24
"""Beyond which nobody looks: a thousand chains are then too few to be all that a map is trained on.
Sixteen wells, d = 32, budget 60: an ELBO 27 off, by draws and chains together 4.6."""


def density_seconds(target: Target, x: Tensor) -> float:
    """Return the CPU seconds of the density with its gradient at 500 points.

    Args:
        target: Known by its potential.
        x: Where it is evaluated, at 500 of them at most.
    """
    density, laps = density_of(target), []
    for _ in range(_FEW):
        now = time.process_time()
        density(x[:POINTS])
        laps.append(time.process_time() - now)
    return min(laps) * POINTS / len(x[:POINTS])


def modes_apart(problem: Problem, train: Particles, budget: float) -> float:
    """Return the share of chains outside the target's largest mode; 0 where nobody looks.

    That is where chains cannot be paid, or there are too many columns.

    Args:
        problem: Whose target is known by its potential.
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
    chance = generator(problem.seed, "modes", device=train.points.device)
    return apart(target, annealed(target, train.points, count, chance), chance)
