"""Step sizes that shrink when a step is rejected."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt
from wopt.component import fields

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@fields
class Backtracking(wopt.StepSize):
    """Backtracking on the guard's sufficient decrease.

        h <- shrink h    when a step is rejected;    h_{n+1} = min(initial, grow h_n)    otherwise.

    Source: Armijo, 1966; Nocedal, Wright, *Numerical Optimization*, 2006, algorithm 3.1.

    Example:
        >>> rule = Backtracking(initial=1.0)
        >>> rule(0), rule.after_rejection(1.0), rule(1, previous=0.5), rule(2, previous=0.9)
        (1.0, 0.5, 0.75, 1.0)
    """

    cites = ("armijo1966", "nocedal2006")

    initial: Annotated[
        Positive, Field(description="h of the first step, which is also the largest")
    ] = 1.0
    shrink: Annotated[float, Field(gt=0, lt=1, description="factor after a rejected step")] = 0.5
    grow: Annotated[
        float, Field(ge=1, allow_inf_nan=False, description="factor after an accepted step")
    ] = 1.5
    smallest: Annotated[Positive, Field(description="smallest h, which is not reduced further")] = (
        1e-6
    )

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the last step size, grown up to the initial one."""
        return self.initial if previous is None else min(self.initial, self.grow * previous)

    def after_rejection(self, step_size: float) -> float | None:
        """Return the reduced step size, unless it would be below the smallest."""
        reduced = self.shrink * step_size
        return reduced if reduced >= self.smallest else None
