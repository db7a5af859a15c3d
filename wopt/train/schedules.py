"""Complete schedules of learning rates, one after the other, until a block is good enough."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from typing import Any

from wopt.interfaces.budget import Budget, Clock
from wopt.interfaces.solver import SolveReport, Training

__all__ = ["Schedules", "clock_of", "lengths_of"]


def lengths_of(settings: Any) -> list[float]:
    """Return the CPU seconds of each schedule, of all if there is one entry; ``[]`` for counts."""
    seconds = settings.seconds
    return seconds if isinstance(seconds, list) else [] if seconds is None else [seconds]


def clock_of(settings: Any, number: int = 0, made: int = 0) -> Clock:
    """Return the clock of a schedule.

    Args:
        settings: The options of the solver.
        number: Number of the block's schedules before.
        made: Number of the step's schedules before, in which ``recorded`` counts.
    """
    lengths, recorded = lengths_of(settings), settings.recorded
    if not lengths:
        return Budget().clock(settings.iterations)
    known = recorded[made] if recorded and made < len(recorded) else None
    return Budget(lengths[min(number, len(lengths) - 1)]).clock(known)


@dataclasses.dataclass(frozen=True)
class Schedules:
    """The trainings of one block.

    Attributes:
        training: The block, its loss and the options.
        cost: Returns the cost of an iteration of the next round, relative to a plain one.
        made: Schedules of the step by the clock so far, to which those made here are added.
        begin: Called with the number of a schedule before it begins, from the second on.
    """

    training: Training
    cost: Callable[[], float]
    made: list[tuple[int, ...]]
    begin: Callable[[int], None]

    def train(self, first: int = 0) -> SolveReport:
        """Train by the schedules from ``first`` on until the tolerance is met, or all are over."""
        settings, block, within = (
            self.training.settings,
            self.training.block,
            self.training.tolerance,
        )
        several = settings.rounds if within.asked else 1
        last = len(settings.seconds) if isinstance(settings.seconds, list) else several
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
        training, settings = self.training, self.training.settings
        training.block.train()
        if number:
            self.begin(number)
        settings.algorithm.renew(training)
        factor = settings.grow**number / (self.cost() if settings.seconds is None else 1.0)
        longer = settings if factor == 1 else settings.with_options(**settings.longer(factor))
        clock = clock_of(longer, number, len(self.made))
        given = dataclasses.replace(training, settings=longer, clock=clock)
        report: SolveReport = settings.algorithm.solve(given)
        if settings.seconds is not None:
            self.made.append(tuple(clock.counts))
        return report
