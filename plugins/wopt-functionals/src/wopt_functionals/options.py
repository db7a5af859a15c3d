"""Option types that several objectives share, and what they validate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

import wopt

DensityTarget = Annotated[
    wopt.Target,
    Field(
        description="the measure to approach, known by its potential (minus its log-density, up "
        "to a constant)"
    ),
]
NormalisedTarget = Annotated[
    wopt.Target,
    Field(description="the measure to approach, known by its normalised density"),
]
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
FEW_SAMPLES: dict[str, Any] = {"samples": 200}
"""What makes a quick example of an objective by samples."""
Estimator = Annotated[
    Literal["v", "u"],
    Field(
        description="mean over all pairs (v: never negative, biased by 1/n) or over pairs of "
        "different particles (u: unbiased, may be negative)"
    ),
]


def _not_one(value: float) -> float:
    if value == 1:
        raise ValueError("1 is the limit that has another formula: use the objective entropy or kl")
    return value


not_one = AfterValidator(_not_one)
"""Refuses the exponent 1, where a power becomes a logarithm."""


def chosen(names: tuple[str, ...], signature: str) -> Callable[[Any], Any]:
    """Return a validator of an option that is one of ``names`` or a Python function."""

    def check(value: Any) -> Any:
        if callable(value) or value in names:
            return value
        raise ValueError(
            f"expected one of {', '.join(names)}, or a Python function {signature}; got {value!r}; "
            "a configuration file cannot hold a function: build the run in Python, or put it in "
            "an objective of your own (`wopt new-plugin NAME --kind objective`)"
        )

    return check


def named_function(value: Any) -> str:
    """Return the choice as a configuration shows it; a function cannot be restored from it."""
    if isinstance(value, str):
        return value
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"python:{getattr(value, '__module__', None) or '?'}.{name}"
