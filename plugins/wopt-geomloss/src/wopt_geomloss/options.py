"""Options of objectives that know their target by samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt

SampledTarget = Annotated[
    wopt.Target, Field(description="the measure to approach, known by samples")
]
Samples = Annotated[
    int,
    Field(
        ge=2,
        le=10_000_000,
        description="number of samples of the target, drawn anew at every iteration",
    ),
]
