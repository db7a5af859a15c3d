"""The lower side: what another density, fitted to the same particles, finds left to gain."""

from __future__ import annotations

import dataclasses

from wopt.typed import Number, Typed

__all__ = ["LowerSide", "Rung"]


@dataclasses.dataclass(frozen=True)
class Rung(Typed):
    """One challenger of a ladder.

    Attributes:
        name: Of the challenger.
        seconds: Processor time of its fit.
        gain: E[log r - log model] on fresh rows, nats.
        error: Its standard error.
    """

    name: str
    seconds: float
    gain: Number
    error: Number


@dataclasses.dataclass(frozen=True)
class LowerSide(Typed):
    """A lower bound of KL(p | model) without assumptions, on rows that no density saw.

    For any normalised density r,  KL(p | model) >= E_p[log r - log model].

    Attributes:
        value: The mean on fresh rows, nats.
        error: Its standard error.
        low: The lower end of a one-sided interval.
        level: Its confidence.
        by: The challenger r.
        rows: How many fresh rows judged it.
        ladder: What was tried, by effort.

    Source: docs/theory.md 4; the chain rule of KL with a density that is not the truth.

    Example:
        >>> LowerSide(0.5, 0.01, 0.48, 0.95, "autoregressive", 1000).ladder
        ()
    """

    value: Number
    error: Number
    low: Number
    level: float
    by: str
    rows: int
    ladder: tuple[Rung, ...] = ()
