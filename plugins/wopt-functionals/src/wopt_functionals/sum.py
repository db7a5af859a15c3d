"""Weighted sums of objectives, for configuration files."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, final

from pydantic import Field

import wopt
from wopt import Component
from wopt.component import fields


@final
@fields
class Part(Component):
    """One summand: a weight and an objective.

    Example:
        >>> Part(weight=0.5, objective="entropy").weight
        0.5
    """

    objective: Annotated[wopt.Objective, Field(description="G_i")]
    weight: Annotated[float, Field(allow_inf_nan=False, description="w_i; it may be negative")] = (
        1.0
    )


@final
class SumOfParts(wopt.Sum):
    """The weighted sum of objectives, G = sum_i w_i G_i, as ``0.5 * a + b`` makes it in Python.

    It needs what its parts need; lambda is the weighted sum of theirs, where all are known and no
    weight is negative. Explicit schemes treat the parts that do not depend on the density.

    ```toml
    [objective]
    name = "sum"
    [[objective.parts]]
    objective = "entropy"
    [[objective.parts]]
    weight = 0.5
    objective = { name = "interaction", kernel = "quadratic" }
    ```

    Source: docs/theory 2, row 21.

    Example:
        >>> g = SumOfParts(parts=[{"objective": "entropy"},
        ...     {"weight": 0.5, "objective": {"name": "interaction"}}])
        >>> g.convexity, g.needs.describe()
        (0.0, 'LOG_DET')
    """

    cites = ()
    example: ClassVar[dict[str, Any]] = {
        "parts": [{"objective": "entropy"}, {"weight": 0.5, "objective": {"name": "interaction"}}]
    }

    def __init__(
        self,
        parts: Annotated[
            list[Part],
            Field(min_length=1, description="the objectives that are added, each with its weight"),
        ],
    ) -> None:
        super().__init__([(part.weight, part.objective) for part in parts])
