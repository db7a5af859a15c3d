"""Complete schedules of learning rates, one after the other, until a block is good enough."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable

from wopt.interfaces.budget import Budget, Clock
from wopt.interfaces.solver import Solver, SolveReport, Training
from wopt.parallel import SOLO, Team

__all__ = ["Schedules", "clock_of"]


def clock_of(
    solver: Solver, number: int = 0, made: int = 0, cost: float = 1.0, team: Team = SOLO
) -> Clock:
    """Return the clock of a schedule.

    Args:
        solver: The solver.
        number: Number of the block's schedules before.
        made: Number of the step's schedules before, in which ``solver.recorded`` counts.
        cost: Cost of an iteration, relative to that of which ``solver.iterations`` are planned.
        team: Processes that follow the clock of the first one.
    """
    longer, recorded = solver.grow**number, solver.recorded
    if solver.seconds is None:
        return Budget().clock(max(1, round(longer / cost * solver.iterations)))
    lengths = solver.seconds if isinstance(solver.seconds, list) else [solver.seconds]
    known = recorded[made] if recorded and made < len(recorded) else None
    return Budget(longer * lengths[min(number, len(lengths) - 1)], team=team).clock(known)


@dataclasses.dataclass(frozen=True)
class Schedules:
    """The trainings of one block.

    Attributes:
        solver: The solver.
        training: The block and its loss.
        cost: Returns the cost of an iteration of the next schedule, relative to a plain one.
        made: Schedules of the step by the clock so far, to which those made here are added.
        begin: Called with the number of a schedule before it begins, from the second on.
    """

    solver: Solver
    training: Training
    cost: Callable[[], float]
    made: list[tuple[int, ...]]
    begin: Callable[[int], None]

    def train(self, first: int = 0) -> SolveReport:
        """Train by the schedules from ``first`` on until the tolerance is met, or all are over."""
        solver, block, within = self.solver, self.training.block, self.training.tolerance
        several = solver.rounds if within.asked else 1
        last = len(solver.seconds) if isinstance(solver.seconds, list) else several
        total, report = 0, SolveReport(0, math.nan, diverged=False)
        best, most = None, 0.0
        for number in range(first, last):
            report = self._one(number)
            total += report.iterations
            if report.diverged or (within.asked and within.met(block)):
                break
            if within.reached is not None and within.reached >= most:
                most, best = within.reached, copy.deepcopy(block.state_dict())
        else:
            if best is not None and most > (within.reached or 0.0):  # the last round was worse
                block.load_state_dict(best)
        return SolveReport(total, report.loss, report.diverged, within.residual)

    def _one(self, number: int) -> SolveReport:
        self.training.block.train()
        if number:
            self.begin(number)
        self.solver.renew(self.training)
        of = self.training.team
        clock = clock_of(self.solver, number, len(self.made), self.cost(), of)
        report = self.solver.solve(dataclasses.replace(self.training, clock=clock))
        if self.solver.seconds is not None:
            self.made.append(tuple(clock.counts))
        return report
