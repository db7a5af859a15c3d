"""Types of the arguments and results of inner solves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from wopt.interfaces.block import FlowBlock

__all__ = ["Accuracy", "InnerReport", "Loss"]

Accuracy = Callable[[FlowBlock], tuple[float, float] | None]
"""First-order error of a block on held-out particles and movement per h; ``None`` if nothing is
implicit."""

Loss = Callable[[FlowBlock, Tensor | None], Tensor]
"""Loss of a block, shape ``()``, on the rows of an index, or on all of them."""


@dataclasses.dataclass(frozen=True)
class InnerReport:
    """Result of an inner solve.

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
