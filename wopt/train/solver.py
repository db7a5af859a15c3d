"""The training of a block by a solver, in complete schedules until it is accurate enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from wopt.component import build
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.solver import Accuracy, Loss, Solver, SolveReport, Training
from wopt.interfaces.subproblem import Subproblem
from wopt.interfaces.target import Target
from wopt.parallel import SOLO, Team
from wopt.train.batches import Tolerance
from wopt.train.schedules import Schedules
from wopt.train.solvers import BySteps

__all__ = ["InnerSolver", "minimise", "repeated"]


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
    block: FlowBlock,
    loss: Loss,
    n: int,
    *,
    rate: float = 1.0,
    before_each: Callable[[], None] = lambda: None,
    held_out: Callable[[FlowBlock], float] | None = None,
    accuracy: Accuracy | None = None,
    relative_ess: Callable[[FlowBlock], float | None] | None = None,
    cost: Callable[[], float] = lambda: 1.0,
    listener: Listener = SILENT,
    subproblem: Subproblem | None = None,
    target: Target | None = None,
    chains: Any = None,
    made: list[tuple[int, ...]] | None = None,
    first: int = 0,
    begin: Callable[[int], None] = lambda _: None,
    team: Team = SOLO,
) -> SolveReport:
    """Train a block in place, drawing from torch's global generator.

    With a tolerance and ``accuracy`` training ends when the first-order error is within it;
    if a schedule does not suffice it is repeated, in at most ``solver.rounds`` schedules.

    Args:
        solver: The solver.
        block: The block to train.
        loss: The loss of a block on rows.
        n: Number of particles.
        rate: Factor on the learning rate.
        before_each: Called before every iteration (stochastic objectives draw anew).
        held_out: The held-out loss, for stopping on a plateau.
        accuracy: The held-out first-order error, for the tolerances.
        relative_ess: The relative effective size of held-out importance weights, for ``weights``.
        cost: Returns the cost of an iteration of the next schedule, relative to a plain one.
        listener: Receives iterations done, those planned and the smoothed loss.
        subproblem: The subproblem at the training particles, for solvers that use it.
        target: The target of the objective, for solvers that use it.
        chains: Chains of the target, for solvers that use them.
        made: Schedules of the step so far, of which ``recorded`` has a record; those made here
            are added.
        first: Number of schedules of this block that were made before.
        begin: Called with the number of a schedule before it begins, from the second on.
        team: The processes that train the block together.
    """
    within = Tolerance(
        accuracy, solver.tolerance, solver.relative_tolerance, relative_ess, solver.weights
    )
    training = solver.begin(
        Training(
            block, loss, n, Budget().clock(solver.iterations), rate, before_each, held_out, within,
            listener, subproblem, target, chains, team,
        )
    )  # fmt: skip
    return Schedules(solver, training, cost, [] if made is None else made, begin).train(first)
