"""The training of a block by a solver, in complete schedules until it is accurate enough."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from wopt.component import build
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget, Clock
from wopt.interfaces.solver import Accuracy, Solver, SolveReport, Training
from wopt.parallel import SOLO, Team
from wopt.train.batches import Tolerance
from wopt.train.solvers import BySteps


def InnerSolver(**options: Any) -> Solver:
    """Return a solver by the options that all had once, with its name as ``optimiser``.

    ``wopt.build("solver", {"name": "muon", ...})`` is today's way.

    Example:
        >>> InnerSolver(optimiser="lbfgs", iterations=20).iterations
        20
    """
    return cast("Solver", build("solver", options))


def repeated(solver: Solver, records: Sequence[Any]) -> Solver:
    """Return the solver that repeats a run by the clock to the bit.

    Args:
        solver: The solver of the run.
        records: The records of its steps.
    """
    steps = [
        solver.of_step(step).varied(recorded=record.schedules or None)
        for step, record in enumerate(records)
    ]
    return BySteps(solvers=steps) if steps else solver


def minimise(
    solver: Solver,
    training: Training,
    *,
    accuracy: Accuracy | None = None,
    relative_ess: Callable[[FlowBlock], float | None] | None = None,
    cost: Callable[[], float] = lambda: 1.0,
    made: list[tuple[int, ...]] | None = None,
    first: int = 0,
    begin: Callable[[int], None] = lambda _: None,
) -> SolveReport:
    """Train a block in place, drawing from torch's global generator.

    With a tolerance and ``accuracy`` training ends when the first-order error is within it;
    if a schedule does not suffice it is repeated, in at most ``solver.rounds`` schedules.

    Args:
        solver: The solver.
        training: The block and its loss; clock and tolerance are those of the solver.
        accuracy: The held-out first-order error, for the tolerances.
        relative_ess: The relative effective size of held-out importance weights, for ``weights``.
        cost: Returns the cost of an iteration of the next schedule, relative to a plain one.
        made: Schedules of the step so far, of which ``recorded`` has a record; those made here
            are added.
        first: Number of schedules of this block that were made before.
        begin: Called with the number of a schedule before it begins, from the second on.
    """
    measures = accuracy, solver.tolerance, solver.relative_tolerance, relative_ess, solver.weights
    within = Tolerance(*measures)
    training = solver.begin(dataclasses.replace(training, tolerance=within))
    block, made = training.block, [] if made is None else made
    several = solver.rounds if within.asked else 1
    last = len(solver.seconds) if isinstance(solver.seconds, list) else several
    total, report = 0, SolveReport(0, math.nan, diverged=False)
    best, most = None, 0.0
    for number in range(first, last):
        block.train()
        if number:
            begin(number)
        solver.renew(training)
        clock = clock_of(solver, number, len(made), cost(), training.team)
        report = solver.solve(dataclasses.replace(training, clock=clock))
        if solver.seconds is not None:
            made.append(tuple(clock.counts))
        total += report.iterations
        if report.diverged or (within.asked and within.met(block)):
            break
        if within.reached is not None and within.reached >= most:
            most, best = within.reached, copy.deepcopy(block.state_dict())
    else:
        if best is not None and most > (within.reached or 0.0):  # the last round was worse
            block.load_state_dict(best)
    return SolveReport(total, report.loss, report.diverged, within.residual)


def clock_of(
    solver: Solver, number: int = 0, made: int = 0, cost: float = 1.0, team: Team = SOLO
) -> Clock:
    """Return the clock of a schedule."""
    longer, recorded = solver.grow**number, solver.recorded
    if solver.seconds is None:
        return Budget().clock(max(1, round(longer / cost * solver.iterations)))
    lengths = solver.seconds if isinstance(solver.seconds, list) else [solver.seconds]
    known = recorded[made] if recorded and made < len(recorded) else None
    return Budget(longer * lengths[min(number, len(lengths) - 1)], team=team).clock(known)
