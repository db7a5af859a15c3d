"""The lower side: what KL at least is, found by challengers, without an assumption."""

from __future__ import annotations

import dataclasses

__all__ = ["LowerSide"]


@dataclasses.dataclass(frozen=True)
class LowerSide:
    """A lower bound on KL(p | model), judged on rows that nothing was fitted to.

    Attributes:
        value: Mean of log r - log model over these rows, an estimate of a lower bound.
        error: Its standard error.
        low: One-sided lower confidence limit, not below zero.
        level: Confidence of the limit.
        by: Which challengers make up r, the heaviest first.
        rows: How many rows judged.
        ladder: (name, CPU seconds, value, error) of each rung of effort.

    Example:
        >>> LowerSide(0.3, 0.01, 0.28, 0.95, "kernel density", 1000, ()).low
        0.28
    """

    value: float
    error: float
    low: float
    level: float
    by: str
    rows: int
    ladder: tuple[tuple[str, float, float, float], ...]
