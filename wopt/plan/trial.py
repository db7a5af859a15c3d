"""A trial: the training of a plan's step, discarded after its value on held-out rows is known."""

from __future__ import annotations

import dataclasses
import math
import time

import torch

from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles
from wopt.plan.speed import first_of
from wopt.seeds import generator
from wopt.train.problem import Problem
from wopt.train.solver import InnerSolver
from wopt.train.stage import Stage

__all__ = ["Trial", "holdout", "tried"]

_FEW = 2000
"""Number of rows below which a tenth of them is too few to tell plans apart."""

_APART = 0.3
"""Fraction of few rows that trials hold out instead."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """The result of a trial.

    Attributes:
        held_out: The least value of the subproblem on held-out rows, at any check.
        at: The iteration of that check.
        iterations: Number of iterations at most, with which the learning rate's schedule ends.
        seconds: CPU seconds of the trial.
    """

    held_out: float
    at: int
    iterations: int
    seconds: float

    @property
    def turned(self) -> bool:
        """Whether the held-out value was least long before the schedule's end."""
        return self.at < 0.7 * self.iterations


@dataclasses.dataclass(frozen=True)
class _Watched(Stage):
    """A stage that records the values of its checks."""

    seen: list[float] = dataclasses.field(default_factory=list)

    @torch.no_grad()
    def held_out(self, block: FlowBlock) -> float:
        value = super().held_out(block)
        self.seen.append(value)
        return value


def tried(problem: Problem, train: Particles, valid: Particles) -> Trial:
    """Return what the first step of a problem reaches, without using up the run's random numbers.

    The draws are those of the run, so a run with the same options reaches the same value.

    Args:
        problem: A problem with the iterations that the trial may take.
        train: The particles at the start.
        valid: The held-out particles.
    """
    began = time.process_time()
    stage = _Watched(problem, 0, 0, 0, first_of(problem, train), first_of(problem, valid))
    stage.train(None)
    values = [value if math.isfinite(value) else math.inf for value in stage.seen]
    best = min(range(len(values)), key=values.__getitem__) if values else 0
    solver: InnerSolver = problem.solver
    return Trial(
        held_out=values[best] if values else math.inf,
        at=best * solver.check_every,
        iterations=solver.iterations,
        seconds=time.process_time() - began,
    )


def holdout(train: Particles, valid: Particles, seed: int) -> tuple[Particles, Particles]:
    """Return the particles of trials: those of the run or, if they are few, with 30 % held out.

    Args:
        train: The training particles of the run, at the start.
        valid: The held-out particles.
        seed: Seed of the split.

    Example:
        >>> import torch
        >>> few = Particles.start(torch.zeros(80, 2)), Particles.start(torch.zeros(10, 2))
        >>> [len(part) for part in holdout(*few, seed=0)]
        [63, 27]
    """
    if len(train) + len(valid) >= _FEW:
        return train, valid
    points = torch.cat([train.points, valid.points])
    pool = dataclasses.replace(Particles.start(points), condition=train.condition)
    order = torch.randperm(len(pool), generator=generator(seed, "plan", "apart")).to(points.device)
    few = round(_APART * len(pool))
    return pool.rows(order[few:]), pool.rows(order[:few])
