"""Options that the blocks share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wopt_zuko.stack import Activation

__all__ = ["ActivationOption", "Bins", "Bound", "Hidden", "Passes", "Transforms"]

Hidden = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(min_length=1, description="widths of the hidden layers of the nets"),
]
ActivationOption = Annotated[Activation, Field(description="activation of the nets")]
Transforms = Annotated[int, Field(ge=1, description="transforms in a row")]
Bins = Annotated[int, Field(ge=2, description="pieces of every spline")]
Bound = Annotated[
    float | None,
    Field(gt=0, description="splines act on [-bound, bound]^d; none: chosen by the particles"),
]
Passes = Annotated[
    int | None,
    Field(ge=2, description="passes to invert; none: d, fully autoregressive; 2: coupling"),
]
