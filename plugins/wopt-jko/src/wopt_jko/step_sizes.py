"""Step-size rules that need no feedback: constant, geometric, listed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt
from wopt.component import fields

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@fields
class Constant(wopt.StepSize):
    """h_n = value. A bare number in a configuration means this rule.

    Example:
        >>> Constant(0.5)(7)
        0.5
    """

    cites = ()

    value: Annotated[Positive, Field(description="the step size h of every step")] = 1.0

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the constant."""
        return self.value


@fields
class Geometric(wopt.StepSize):
    """h_n = min(initial * ratio^n, largest), as in JKO-iFlow (Xu, Cheng, Xie, 2023).

    Example:
        >>> rule = Geometric(initial=0.25, ratio=2.0, largest=1.5)
        >>> [rule(n) for n in range(4)]
        [0.25, 0.5, 1.0, 1.5]
    """

    cites = ("xu2023",)

    initial: Annotated[Positive, Field(description="h of the first step")] = 0.25
    ratio: Annotated[Positive, Field(description="factor from step to step")] = 1.4
    largest: Annotated[Positive | None, Field(description="upper limit of h")] = None

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the step's term of the progression."""
        value = self.initial * self.ratio**step
        return value if self.largest is None else min(value, self.largest)


@fields
class Sequence(wopt.StepSize):
    """h_n as listed; the last one repeats. A bare list in a configuration means this rule.

    Example:
        >>> [Sequence([1, 4])(n) for n in range(3)]
        [1.0, 4.0, 4.0]
    """

    cites = ()

    values: Annotated[
        list[Positive], Field(min_length=1, description="the step sizes h_0, h_1, ...")
    ]

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the step's entry, or the last one."""
        return self.values[min(step, len(self.values) - 1)]
