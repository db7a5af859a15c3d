"""Solvers, which minimise the subproblem of a step over the parameters of a block."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Self

from torch import Tensor

from wopt.component import Component, options_model
from wopt.errors import WoptError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget, Clock
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.subproblem import Subproblem
from wopt.interfaces.target import Target
from wopt.parallel import SOLO, Team

Accuracy = Callable[[FlowBlock], tuple[float, float] | None]
"""First-order error of a block on held-out particles and movement per h; ``None`` if nothing is
implicit."""

Loss = Callable[[FlowBlock, Tensor | None], Tensor]
"""Loss of a block, shape ``()``, on the rows of an index, shape ``(batch,)``, or on all of them."""


@dataclasses.dataclass(frozen=True)
class SolveReport:
    """Result of a solve.

    Attributes:
        iterations: Iterations made.
        loss: The last training loss, smoothed over iterations.
        diverged: Whether it ended at a loss that is not finite.
        residual: The first-order error at the end, where a tolerance asked for it.
    """

    iterations: int
    loss: float
    diverged: bool
    residual: float | None = None


@dataclasses.dataclass(frozen=True)
class Training:
    """The input of a solver: the block, its loss, and how long to go on.

    Attributes:
        block: The block to train in place.
        loss: Its loss on some or all of the particles.
        n: Number of particles.
        clock: Yields before each iteration the part of the schedule that has begun: 0, 1, ...,
            ``clock.parts - 1``, until it is over.
        rate: Factor on learning rates: less than one after a rejection.
        before_each: Called before every iteration (stochastic objectives draw anew).
        held_out: The held-out loss of a block, for stopping on a plateau.
        tolerance: Tells whether a block is accurate enough, if a tolerance is set.
        listener: Receives iterations done, those planned and the loss.
        subproblem: The subproblem at the training particles, if there is one.
        target: The target of the objective, if it has one.
        chains: Chains of the target, if there are any.
        team: The processes that train the block together.
    """

    block: FlowBlock
    loss: Loss
    n: int
    clock: Clock = dataclasses.field(default_factory=lambda: Budget().clock(1))
    rate: float = 1.0
    before_each: Callable[[], None] = lambda: None
    held_out: Callable[[FlowBlock], float] | None = None
    tolerance: Any = None
    listener: Listener = SILENT
    subproblem: Subproblem | None = None
    target: Target | None = None
    chains: Any = None
    team: Team = SOLO


class Solver(Component, abc.ABC):
    """Minimises the loss of a block on particles; the table ``[solver]`` names it.

    What a step asks of its solver is an attribute here; a subclass makes those its options that
    have a meaning for it.

    Attributes:
        iterations: Iterations in each step, or in the first of its schedules.
        seconds: CPU seconds of each schedule instead, or of each of several.
        recorded: Iterations in each hundredth of every schedule of a step, which are repeated.
        rounds: Largest number of schedules that are made to reach a tolerance.
        grow: Factor on iterations or seconds from schedule to schedule.
        tolerance: First-order error below which a step is solved.
        relative_tolerance: The same as a fraction of the movement divided by h.
        weights: Relative effective size of importance weights from which on a step is solved.
        warm_start: Whether a step's map begins as that of the step before.
        noise: Standard deviation of fresh noise on training particles.
        fresh: Whether training particles are drawn anew at every iteration.
        batch_size: Particles per iteration.
        check_rows: Number of held-out particles of checks; ``None`` for all.
        chains: Number of Metropolis chains of the target beside the step.

    Example:
        >>> import wopt
        >>> wopt.build("solver", "adam").on_batches
        True
    """

    kind: ClassVar[str] = "solver"
    on_batches: ClassVar[bool] = False
    """Whether it follows gradients of mini-batches at learning rates: these can be lowered, nets
    can be rounded and particles drawn anew at every iteration."""
    beside_chains: ClassVar[bool] = True
    """Whether chains of the target run beside its training, if it has an option for them."""

    iterations: int = 1
    seconds: float | list[float] | None = None
    recorded: list[list[int]] | None = None
    rounds: int = 1
    grow: float = 1.0
    tolerance: float | None = None
    relative_tolerance: float | None = None
    weights: float | None = None
    warm_start: bool = True
    noise: float = 0.0
    fresh: bool = False
    batch_size: int = 1
    check_rows: int | None = None
    chains: int = 0

    @classmethod
    def _read(cls, value: Any) -> Any:
        return table_of_solver(value)

    @property
    def each(self) -> tuple[Solver, ...]:
        """The solvers of the first steps, of which the last is used for all later ones."""
        return (self,)

    def of_step(self, step: int) -> Solver:
        """Return the solver of a step with index 0, 1, ..."""
        return self.each[min(step, len(self.each) - 1)]

    def varied(self, **options: Any) -> Self:
        """Return the solver with other values of those options that it has.

        Example:
            >>> import wopt
            >>> wopt.build("solver", "lbfgs").varied(iterations=5, batch_size=10).iterations
            5
        """
        return self.with_options(**{k: v for k, v in options.items() if k in self.options})

    def begin(self, training: Training) -> Training:
        """Return the training, which may have another loss.

        Raises:
            CapabilityError: The solver does not suit the step.
        """
        return training

    def renew(self, training: Training) -> None:
        """Prepare for a new schedule of iterations."""

    @abc.abstractmethod
    def solve(self, training: Training) -> SolveReport:
        """Train the block in place by one schedule of iterations and report on it."""


_SHARED = frozenset((
    "learning_rate", "matrix_rate", "fresh", "batch_size", "warmup", "final_rate", "clip",
    "weight_decay", "ema", "noise", "warm_start", "check_every", "check_rows", "patience",
    "tolerance", "relative_tolerance", "weights", "chains", "chains_cost", "direction", "rounds",
    "grow", "towards", "seconds", "recorded",
))  # fmt: skip
"""Options that every solver had once, whether they meant something for it or not."""


def table_of_solver(value: Any) -> Any:
    """Return the table of a solver in today's form, with a name and its own options alone.

    Read as well are a list of solvers, one a step; ``by_step``, a list of factors on the length
    and of tables of those options that differ; a table without a name, which is adam's; and
    tables of older versions, with ``optimiser`` and options of all solvers.

    Example:
        >>> sorted(table_of_solver({"optimiser": "lbfgs", "iterations": 9}).items())
        [('iterations', 9), ('name', 'lbfgs')]
    """
    if isinstance(value, list | tuple):
        return {"name": "by_step", "solvers": [table_of_solver(entry) for entry in value]}
    if not isinstance(value, Mapping) or value.get("name") == "by_step":
        return value
    table = dict(value)
    steps = table.pop("by_step", None)
    if steps:
        return {"name": "by_step", "solvers": [_of_step(table, entry) for entry in steps]}
    if "name" in table and "optimiser" not in table:
        return table
    chosen = table.pop("optimiser", "adam")
    if isinstance(chosen, Solver):
        return chosen
    table = {**table, **({"name": chosen} if isinstance(chosen, str) else chosen)}
    return _own(table, _SHARED)


def _of_step(table: dict[str, Any], entry: Any) -> Any:
    """Return the table of one step, given those of all and what differs."""
    if isinstance(entry, Solver):
        return entry
    if not isinstance(entry, Mapping):
        length = {"iterations": max(1, round(entry * table.get("iterations", 500)))}
        seconds = table.get("seconds")
        if seconds is not None:
            several = isinstance(seconds, list | tuple)
            length["seconds"] = [entry * s for s in seconds] if several else entry * seconds
        entry = length
    if "by_step" in entry:
        raise ValueError("an entry of by_step has a by_step of its own; leave it out")
    below = {k: v for k, v in table.items() if k not in ("name", "optimiser")}
    named = {k: table[k] for k in ("name", "optimiser") if k in table}
    if "name" in entry or "optimiser" in entry:
        named = {}
    return _own(table_of_solver({**below, **named, **entry}), below.keys() - entry.keys())


def _own(table: Any, dropped: Collection[str]) -> Any:
    """Return a table without those of the dropped options that its solver does not have."""
    if not isinstance(table, dict):
        return table
    if table["name"] in ("adam", "muon") and table.get("chains"):
        rate = {"matrix_rate": 0.02} if table["name"] == "muon" else {}
        table = {**rate, **table, "name": "chains"}
        if "matrix_rate" not in rate:
            table.pop("matrix_rate", None)
    try:
        cls: type[Component] = host().registry.load("solver", table["name"])
    except WoptError:
        return table  # validation says what is wrong with the name
    known = {"name", *cls.renamed, *options_model(cls).model_fields}
    return {k: v for k, v in table.items() if k in known or k not in dropped}
