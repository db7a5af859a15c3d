"""When an inner solve is done before its iterations are: accurate enough, or on a plateau."""

from __future__ import annotations

import math

from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.train.inner import Accuracy

__all__ = ["Plateau", "Tolerance"]


class Tolerance:
    """Whether a block's first-order error is within the tolerances."""

    def __init__(
        self, measure: Accuracy | None, tolerance: float | None, relative: float | None
    ) -> None:
        self.measure = measure
        self.tolerance = tolerance
        self.relative = relative
        self.residual: float | None = None

    @property
    def asked(self) -> bool:
        """Whether there is a tolerance, and a way to measure."""
        return self.measure is not None and (self.tolerance or self.relative) is not None

    def met(self, block: FlowBlock) -> bool:
        """Measure the block; an error that is not known (nothing implicit) counts as met."""
        assert self.measure is not None
        training = block.training
        accuracy = self.measure(block.eval())
        block.train(training)
        if accuracy is None:
            return True
        self.residual, speed = accuracy
        limits = [self.tolerance, self.relative and self.relative * speed]
        return all(accuracy[0] <= limit for limit in limits if limit is not None)


class Plateau:
    """Remembers the best parameters by held-out loss and says when to stop."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.least = math.inf
        self.waited = 0
        self.best: dict[str, Tensor] | None = None

    def over(self, block: FlowBlock, loss: float) -> bool:
        """Hear of a held-out loss; return whether there were too many without a new best."""
        if loss < self.least:
            self.least, self.waited = loss, 0
            self.best = {k: v.detach().clone() for k, v in block.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience
