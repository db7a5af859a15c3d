"""Solvers, which minimise the subproblem of a step over the parameters of a block."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from wopt.component import Component
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget, Clock
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.subproblem import Subproblem
from wopt.interfaces.target import Target

__all__ = ["Accuracy", "Loss", "SolveReport", "Solver", "Training"]

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
    """The input of a solver: the block, its loss, and how far to go.

    Attributes:
        block: The block to train in place.
        loss: Its loss on some or all of the particles.
        n: Number of particles.
        settings: The options of the table ``[solver]``, such as ``iterations`` and ``batch_size``.
        rate: Factor on learning rates: less than one after a rejection.
        before_each: Called before every iteration (stochastic objectives draw anew).
        held_out: The held-out loss of a block, for stopping on a plateau.
        tolerance: Tells whether a block is accurate enough, if a tolerance is set.
        listener: Receives iterations done, those planned and the loss.
        subproblem: The subproblem at the training particles, if there is one.
        target: The target of the objective, if it has one.
        chains: Chains of the target, if there are any.
        clock: Yields before each iteration the part of the schedule that has begun: 0, 1, ...,
            ``clock.parts - 1``, until it is over.
    """

    block: FlowBlock
    loss: Loss
    n: int
    settings: Any
    rate: float = 1.0
    before_each: Callable[[], None] = lambda: None
    held_out: Callable[[FlowBlock], float] | None = None
    tolerance: Any = None
    listener: Listener = SILENT
    subproblem: Subproblem | None = None
    target: Target | None = None
    chains: Any = None
    clock: Clock = dataclasses.field(default_factory=lambda: Budget().clock(1))


class Solver(Component, abc.ABC):
    """Minimises the loss of a block on particles; chosen by ``solver.optimiser``.

    Example:
        >>> import wopt
        >>> wopt.build("solver", "adam").on_batches
        True
    """

    kind: ClassVar[str] = "solver"
    on_batches: ClassVar[bool] = False
    """Whether it follows gradients of mini-batches at learning rates: these can be lowered, nets
    can be rounded and particles drawn anew at every iteration."""
    direct: ClassVar[bool] = False
    """Whether it solves a step at once, without rounds and tolerances."""
    beside_chains: ClassVar[bool] = True
    """Whether chains of the target run beside it, if ``solver.chains`` is set."""

    def begin(self, training: Training) -> Training:
        """Return the training, which may have another loss.

        Raises:
            CapabilityError: The solver does not suit the step.
        """
        return training

    def renew(self, training: Training) -> None:
        """Prepare for a new round of iterations."""

    @abc.abstractmethod
    def solve(self, training: Training) -> SolveReport:
        """Train the block in place by one round of iterations and report on it."""
