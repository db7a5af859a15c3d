"""A trial: a plan's step trained and thrown away, for what it reaches on held-out rows."""

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

__all__ = ["Trial", "apart", "tried"]

_FEW = 2000
"""Rows below which a tenth of them does not tell plans apart."""

_APART = 0.3
"""Share of them that is held out from trials instead."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a plan reached.

    Attributes:
        held_out: The least value of the subproblem on held-out rows, at any check.
        at: The iteration of that check.
        iterations: Made at most: the schedule of the learning rate ends there.
        seconds: CPU seconds it took.
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
    """A stage that keeps what its checks saw."""

    seen: list[float] = dataclasses.field(default_factory=list)

    @torch.no_grad()
    def held_out(self, block: FlowBlock) -> float:
        value = super().held_out(block)
        self.seen.append(value)
        return value


def tried(problem: Problem, train: Particles, valid: Particles) -> Trial:
    """Return what the first step of a problem reaches; no random number of the run is used up.

    The draws are those of the run, so a run of the same options reaches the same.

    Args:
        problem: With the iterations that the trial may take.
        train: The particles at the start.
        valid: The held-out ones.
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


def apart(train: Particles, valid: Particles, seed: int) -> tuple[Particles, Particles]:
    """Return the particles of trials: those of the run, or, of few, three tenths held out.

    Args:
        train: The training particles of the run, at the start.
        valid: The held-out ones.
        seed: Of the draw.

    Example:
        >>> import torch
        >>> few = Particles.start(torch.zeros(80, 2)), Particles.start(torch.zeros(10, 2))
        >>> [len(part) for part in apart(*few, seed=0)]
        [63, 27]
    """
    if len(train) + len(valid) >= _FEW:
        return train, valid
    points = torch.cat([train.points, valid.points])
    pool = dataclasses.replace(Particles.start(points), condition=train.condition)
    order = torch.randperm(len(pool), generator=generator(seed, "plan", "apart")).to(points.device)
    few = round(_APART * len(pool))
    return pool.rows(order[few:]), pool.rows(order[:few])
