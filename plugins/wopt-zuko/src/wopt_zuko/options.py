"""Options that the blocks share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wopt_zuko.stack import Activation

Hidden = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(min_length=1, description="widths of the hidden layers of the networks"),
]
ActivationOption = Annotated[Activation, Field(description="activation function of the networks")]
Transforms = Annotated[
    int, Field(ge=1, le=1000, description="number of transforms that are composed")
]
Bins = Annotated[int, Field(ge=2, description="number of bins of every spline")]
Bound = Annotated[
    float | None,
    Field(
        gt=0,
        description="splines act on [-bound, bound] in every coordinate; by default chosen from "
        "the particles",
    ),
]
Passes = Annotated[
    int | None,
    Field(
        ge=2,
        description="number of passes that invert a transform; by default d, fully "
        "autoregressive; 2: coupling",
    ),
]
