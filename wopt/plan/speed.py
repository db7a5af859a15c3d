"""The measured speed of an iteration, and the number of iterations that a budget allows."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import time

from wopt.interfaces.listener import Listener
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.plan.planner import Plan
from wopt.train.problem import ParticleHistory, Problem
from wopt.train.stage import Stage

__all__ = ["IterationTimer", "Speed", "first_of", "measure", "speed_class", "timed"]

_ENDS = 0.9
"""Fraction of a budget that is planned: the rest pays for guard and audits."""

_CHECKS, _FEWEST, _CHECKING = 40, 10, 0.05
"""Held-out checks of a run: their number, the least number, and the fraction of the time that they
take at most."""


@dataclasses.dataclass(frozen=True)
class Speed:
    """CPU seconds on this machine.

    Attributes:
        iteration: One iteration.
        check: One held-out check.
        judge: The evaluation of the finished map on held-out particles.
        spent: The measurement itself.
        carry: Moving the training particles by the map, before another step.
    """

    iteration: float
    check: float
    judge: float
    spent: float
    carry: float = 0.0

    def ends(self, steps: int) -> float:
        """Return the CPU seconds that follow the training of so many steps."""
        return steps * self.judge + (steps - 1) * self.carry


def speed_class(seconds: float) -> float:
    """Return the power of the root of two (in seconds) that is nearest to a time.

    A plan made of classes is the same for the same seed, budget and class of machine.

    Example:
        >>> speed_class(0.25), round(speed_class(0.0181), 4), round(speed_class(0.0215), 4)
        (0.25, 0.0156, 0.0221)
    """
    return 2.0 ** (round(2 * math.log2(max(seconds, 1e-6))) / 2)


class IterationTimer(Listener):
    """A listener that reads the CPU time at every iteration; the first ones are not counted."""

    warm, iterations = 3, 12

    def __init__(self) -> None:
        self.marks: list[float] = []

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Record the CPU time of the iteration."""
        self.marks.append(time.process_time())

    @property
    def laps(self) -> list[float]:
        """CPU seconds of every iteration that is counted."""
        return [b - a for a, b in itertools.pairwise(self.marks[self.warm - 1 :])]

    @property
    def lap(self) -> float:
        """Median CPU seconds of an iteration; 0 where there were too few."""
        return statistics.median(self.laps) if self.laps else 0.0


def measure(problem: Problem, train: Particles, valid: Particles) -> Speed:
    """Return the CPU seconds of an iteration and of a held-out check of the first step.

    The problem itself is trained for a dozen iterations, which are discarded; they use up no random
    number of the run.

    Args:
        problem: A problem made from a plan that is not timed yet.
        train: The particles at the start.
        valid: The held-out particles.
    """
    began = time.process_time()
    count, clock = IterationTimer.iterations, IterationTimer()
    solver = problem.solver.of_step(0).varied(iterations=count, patience=None, check_every=count)
    brief = dataclasses.replace(problem, solver=solver)
    stage = Stage(brief, 0, 0, 0, first_of(problem, train), first_of(problem, valid), clock)
    block, _ = stage.train(None)
    looked = time.process_time()
    stage.held_out(block)
    now = time.process_time()
    rows = min(len(valid), solver.check_rows or len(valid))
    a_row = (now - looked) / rows
    # The guard moves the held-out particles three times: by both maps, and there and back.
    judge, carry = a_row * 3 * len(valid), a_row * len(train)
    return Speed(clock.lap, now - looked, judge, now - began, carry)


def first_of(problem: Problem, particles: Particles) -> Subproblem:
    """Return the subproblem of the first step (its first stage) at particles."""
    scheme, objective = problem.scheme, problem.objective.of_step(0)
    history = ParticleHistory(particles).history(0, scheme.step_size(0, None), None, {})
    history = dataclasses.replace(history, plan=scheme.plan(history, objective))
    return scheme.subproblem(history, objective)


def timed(plan: Plan, speed: Speed, steps: int = 1) -> Plan:
    """Return the plan with the iterations that its budget allows at this speed.

    They are rounded down to a grid of ten numbers a decade (100, 125, 160, 200, ...), so that runs
    of one seed on machines of one class mostly plan the same.

    Args:
        plan: The plan.
        speed: The measured speed.
        steps: Number of steps over which the budget is divided.

    Example:
        >>> from wopt.plan import Facts, plan
        >>> first = plan(Facts(rows=15_216, held_out=1_902, columns=10))
        >>> timed(first, Speed(0.02, 0.03, 0.5, 0.5)).table["solver"]["iterations"]
        2500
    """
    for_steps = _ENDS * plan.facts.budget - speed.spent - steps * speed.check - speed.ends(steps)
    allowed = _CHECKING * for_steps / steps / max(speed.check, 1e-6)
    checks = int(min(_CHECKS, max(_FEWEST, allowed)))
    left = for_steps / steps - checks * speed.check
    fits = max(left, 0.1 * for_steps / steps) / max(speed.iteration, 1e-6)
    most = plan.table.get("solver", {}).get("iterations", math.inf)
    iterations = down_to_grid(max(1.0, min(fits, most)))
    solver = {
        **plan.table.get("solver", {}),
        "iterations": iterations,
        "check_every": max(5, iterations // checks),
    }
    seconds = steps * (iterations * speed.iteration + checks * speed.check) + speed.ends(steps)
    why = f"{iterations} iterations of {1000 * speed.iteration:.3g} ms"
    if fits > most:
        why += ", as many as so few rows bear"
    return dataclasses.replace(
        plan,
        table={**plan.table, "solver": solver},
        reasons=(*plan.reasons, why),
        seconds=seconds + speed.spent,
    )


_GRID = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0)


def down_to_grid(value: float) -> int:
    """Return the largest number of the grid that is not above the value, at least one.

    Example:
        >>> down_to_grid(1130), down_to_grid(99.9), down_to_grid(7)
        (1000, 80, 6)
    """
    decade = 10.0 ** math.floor(math.log10(value))
    return max(1, int(max(g * decade for g in _GRID if g * decade <= value * (1 + 1e-9))))
