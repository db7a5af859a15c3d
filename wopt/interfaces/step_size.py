"""Step-size rules: the sequence h_0, h_1, ... of a scheme."""

from __future__ import annotations

import abc
from typing import Annotated, ClassVar

from pydantic import Field

from wopt.component import Component
from wopt.interfaces import returns

__all__ = ["StepSize", "StepSizeOption"]


class StepSize(Component, abc.ABC):
    """A rule for the step sizes h_n > 0, usable by any scheme."""

    kind: ClassVar[str] = "step_size"
    returns = returns.STEP_SIZE

    @abc.abstractmethod
    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return h of step ``step`` (0, 1, ...), given the step size used before it."""

    def after_rejection(self, step_size: float) -> float | None:
        """Return a smaller h to retry a rejected step with, or ``None`` to keep it."""
        return None


StepSizeOption = Annotated[
    StepSize,
    Field(
        description="the step size h: a number, a list with one for each step, or the table "
        "of a rule"
    ),
]
"""The option ``step_size`` of a scheme."""
