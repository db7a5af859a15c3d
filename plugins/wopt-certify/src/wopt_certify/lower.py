"""The lower side: what other densities, fitted to the same particles, gain over a model."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from pydantic import Field

from wopt.typed import Number, Typed

__all__ = ["EscalationStep", "LowerSide"]


@dataclasses.dataclass(frozen=True)
class EscalationStep(Typed):
    """The mixture of the model with all challengers so far.

    Attributes:
        name: Name of the last challenger.
        seconds: CPU seconds of all fits so far.
        gain: E[log r - log model] on fresh rows, nats.
        error: Standard error of the gain, nats.
    """

    name: str
    seconds: float
    gain: Number
    error: Number


@dataclasses.dataclass(frozen=True)
class LowerSide(Typed):
    """A lower bound of KL(p | model) without assumptions, on rows that no density was fitted to.

    For any normalised density r,  KL(p | model) >= E_p[log r - log model].

    Attributes:
        value: What was found so far: the mean on fresh rows, nats.
        error: Standard error of the mean, nats.
        low: The lower end of a one-sided interval, nats.
        by: The challengers of largest weight.
        rows: Number of fresh rows that evaluated it.
        escalation: What was found by effort; in the file ``ladder``.
        tried: Number of densities that were fitted, by which the result repeats.
        asked: Most rows that were to evaluate it, by which it repeats, too.

    Source: docs/theory.md 4; the chain rule of KL with a density that is not the truth.
    """

    in_file: ClassVar = {"escalation": "ladder"}
    value: Number
    error: Number
    low: Number
    level: float
    by: str
    rows: int
    escalation: Annotated[tuple[EscalationStep, ...], Field(validation_alias="ladder")] = ()
    tried: int | None = None
    asked: int | None = None

    @property
    def growth(self) -> str:
        """How the value grew with effort, in words."""
        count = len(self.escalation)
        if count < 2:
            return f"by {self.by}"
        shown = {"the first": 1, str(count // 2): count // 2} if count > 3 else {"the first": 1}
        parts = [f"{max(self.escalation[k - 1].gain, 0.0):.2g} by {n}" for n, k in shown.items()]
        return f"by {count} densities ({', '.join(parts)})"
