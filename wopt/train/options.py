"""Options that several solvers have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

__all__ = [
    "EvenWeights",
    "Growth",
    "Iterations",
    "Recorded",
    "RelativeResidual",
    "Residual",
    "Rounds",
    "Seconds",
    "WarmStart",
]

Iterations = Annotated[int, Field(ge=1, description="largest number of iterations in each step")]
Seconds = Annotated[
    Annotated[float, Field(gt=0)] | list[Annotated[float, Field(gt=0)]] | None,
    Field(
        description="CPU seconds of training in each step, instead of `iterations`: the "
        "learning rate follows the clock. A list: complete schedules, each of which goes on "
        "from the best map of the one before"
    ),
]
Recorded = Annotated[
    list[list[Annotated[int, Field(ge=0)]]] | None,
    Field(
        description="iterations in each hundredth of every schedule of a step, as the record "
        "of a step by the clock has them (`schedules`), which are repeated"
    ),
]
WarmStart = Annotated[
    bool,
    Field(
        description="whether a step's map begins as that of the step before; otherwise as "
        "the identity"
    ),
]
Residual = Annotated[
    float | None,
    Field(
        gt=0,
        description="train until the error in the first-order optimality condition is below this",
    ),
]
RelativeResidual = Annotated[
    float | None,
    Field(
        gt=0,
        description="the same tolerance as a share of the movement divided by h, which "
        "falls from step to step, so that late steps are solved more accurately",
    ),
]
EvenWeights = Annotated[
    float | None,
    Field(
        gt=0,
        lt=1,
        description="train until the importance weights of held-out particles have an "
        "effective size of this share, and a tail that k-hat lets trust; for a start of known "
        "density and a target's potential",
    ),
]
Rounds = Annotated[
    int, Field(ge=1, description="how often `iterations` may be run to reach a tolerance")
]
Growth = Annotated[float, Field(ge=1, description="factor on the iterations from round to round")]
