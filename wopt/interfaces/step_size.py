"""Step-size rules: the sequence h_0, h_1, ... of a scheme."""

from __future__ import annotations

import abc
from typing import ClassVar

from wopt.component import Component

__all__ = ["StepSize"]


class StepSize(Component, abc.ABC):
    """A rule for the step sizes h_n > 0, usable by any scheme."""

    kind: ClassVar[str] = "step_size"

    @abc.abstractmethod
    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return h of step ``step`` (0, 1, ...), given the step size used before it."""

    def after_rejection(self, step_size: float) -> float | None:
        """Return a smaller h to retry a rejected step with, or ``None`` to keep it."""
        return None
