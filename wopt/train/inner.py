"""What inner solves are given, and what they say of themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from wopt.interfaces.block import FlowBlock

__all__ = ["Accuracy", "InnerReport", "Loss"]

Accuracy = Callable[[FlowBlock], tuple[float, float] | None]
"""The first-order error of a block on held-out particles and the movement per h; ``None`` if
nothing is implicit."""

Loss = Callable[[FlowBlock, Tensor | None], Tensor]
"""The loss of a block on the rows of an index, or on all of them."""


@dataclasses.dataclass(frozen=True)
class InnerReport:
    """What an inner solve did.

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
