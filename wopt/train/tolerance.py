"""Early ends of an inner solve: accurate enough, or on a plateau."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.solver import Accuracy

__all__ = ["Plateau", "Tolerance"]


class Tolerance:
    """Whether a block is good enough: its first-order error, or the evenness of weights.

    Args:
        measure: Returns the first-order error and the movement per h.
        tolerance: Largest first-order error, or ``None``.
        relative: Largest first-order error as a fraction of the movement per h, or ``None``.
        share: Returns the relative effective size of importance weights.
        least: Least relative effective size, or ``None``.
    """

    def __init__(
        self,
        measure: Accuracy | None,
        tolerance: float | None = None,
        relative: float | None = None,
        relative_ess: Callable[[FlowBlock], float | None] | None = None,
        least: float | None = None,
    ) -> None:
        self.measure = measure if (tolerance or relative) is not None else None
        self.tolerance = tolerance
        self.relative = relative
        self.relative_ess = relative_ess if least is not None else None
        self.least = least
        self.residual: float | None = None
        self.reached: float | None = None

    @property
    def asked(self) -> bool:
        """Whether there is a tolerance, and a way to measure."""
        return self.measure is not None or self.relative_ess is not None

    def met(self, block: FlowBlock) -> bool:
        """Measure the block; an error that is not known (nothing implicit) counts as met."""
        training = block.training
        block.eval()
        enough = self._even(block) and self._accurate(block)
        block.train(training)
        return enough

    def _even(self, block: FlowBlock) -> bool:
        if self.relative_ess is None or self.least is None:
            return True
        self.reached = fraction = self.relative_ess(block)
        return fraction is not None and fraction >= self.least

    def _accurate(self, block: FlowBlock) -> bool:
        stationarity = None if self.measure is None else self.measure(block)
        if stationarity is None:
            return True
        self.residual, speed = stationarity
        limits = [self.tolerance, self.relative and self.relative * speed]
        return all(stationarity[0] <= limit for limit in limits if limit is not None)


class Plateau:
    """Remembers the best parameters by held-out loss and says when to stop."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.least = math.inf
        self.waited = 0
        self.best: dict[str, Tensor] | None = None

    def over(self, block: FlowBlock, loss: float) -> bool:
        """Record a held-out loss; return whether there were too many without a new best."""
        if loss < self.least:
            self.least, self.waited = loss, 0
            self.best = {k: v.detach().clone() for k, v in block.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience
