"""Step sizes with which JKO steps arrive at a population in time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt
from wopt.component import fields


@fields
class Arrival(wopt.StepSize):
    """Step sizes that bring particles to each population of ``snapshots`` at a constant speed.

    The exact JKO step of size h for G = c W_2^2(., q)/2 goes to the point at ch/(1 + ch) of the
    geodesic to q (docs/theory 2.2 and 5.7). With m steps to a population the step j = 0, 1,
    ..., m - 1 must leave m - j - 1 of m - j parts of the way, so

        h_j = 1 / (c (m - j - 1)),    h_{m-1} = last,

    and the flow follows displacement interpolation between successive populations at constant
    speed. The last step would have h = infinity; ``last`` leaves 1/(1 + c last) of its part. For
    other objectives than ``wasserstein`` (c = 1) and ``sinkhorn`` (c = 2, as epsilon goes to 0) the
    speed is only roughly constant.

    Example:
        >>> rule = Arrival(steps=4, last=8.0)
        >>> [rule(n) for n in range(5)]
        [0.3333333333333333, 0.5, 1.0, 8.0, 0.3333333333333333]
    """

    cites = ("ambrosio2008",)

    steps: Annotated[
        int, Field(ge=1, description="JKO steps from one population to the next, as the source's")
    ] = 4
    last: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False, description="h of the step that arrives, a large number"),
    ] = 10.0
    factor: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="c, where the objective is about c W_2^2/2: 1 for wasserstein, 2 for "
            "sinkhorn",
        ),
    ] = 1.0

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the step size h of a step."""
        left = self.steps - step % self.steps - 1
        return 1 / (self.factor * left) if left else self.last
