"""The lower side: what another density, fitted to the same particles, finds left to gain."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from pydantic import Field

from wopt.typed import Number, Typed
from wopt_certify.estimate import Estimate

__all__ = ["ChallengePlan", "EscalationStep", "FreeTry", "LowerSide", "best_estimate"]


@dataclasses.dataclass(frozen=True)
class FreeTry(Typed):
    """A free step.

    Attributes:
        rung: Rung of the ladder, from 0.
        side: Coordinates in which it starts; in a plan also ``best``, the side with more gain.
        iterations: Iterations of its schedule.
    """

    rung: int
    side: str
    iterations: int


@dataclasses.dataclass(frozen=True)
class ChallengePlan(Typed):
    """The counts of a challenge.

    Attributes:
        closed: Names of the densities in closed form.
        free: Free steps, in turn.
        refits: Number of challengers that were refitted before each part of the evaluation rows.
    """

    closed: tuple[str, ...] = ()
    free: tuple[FreeTry, ...] = ()
    refits: tuple[int, ...] = ()


_ERRORS = 2.5
"""Standard errors that a lower limit at 95 % lies below its mean."""


@dataclasses.dataclass(frozen=True)
class EscalationStep(Typed):
    """One challenger of a ladder.

    Attributes:
        name: Name of the challenger.
        seconds: CPU seconds of its fit.
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
        value: The mean on fresh rows, nats.
        error: Standard error of the mean, nats.
        low: The lower end of a one-sided interval, nats.
        level: Confidence of the interval.
        by: The challenger r.
        rows: Number of fresh rows that evaluated it.
        escalation: The challengers tried, by effort.
        tries: The counts of the tries, by which they can be repeated.

    Source: docs/theory.md 4; the chain rule of KL with a density that is not the truth.

    Example:
        >>> LowerSide(0.5, 0.01, 0.48, 0.95, "autoregressive", 1000).escalation
        ()
    """

    value: Number
    error: Number
    low: Number
    level: float
    by: str
    rows: int
    escalation: Annotated[tuple[EscalationStep, ...], Field(validation_alias="ladder")] = ()
    tries: ChallengePlan | None = None

    @classmethod
    def _key(cls, name: str) -> str:
        return {"escalation": "ladder"}.get(name, name)

    @property
    def unseen(self) -> float:
        """The least KL that so many rows tell from 0 with the truth as challenger, 12.5/n nats.

        For a small KL the log-ratio of two densities has the variance 2 KL, and a limit at 95 %
        loses some 2.5 standard errors:  KL - 2.5 sqrt(2 KL/n) > 0  where  KL > 12.5/n. An estimate.

        Example:
            >>> LowerSide(0.0, 0.001, 0.0, 0.95, "", 2500).unseen
            0.005
        """
        return 2 * _ERRORS**2 / self.rows


def best_estimate(side: LowerSide) -> Estimate:
    """Return an estimate of KL from the growth of the ladder's gains; it is not a bound.

    On the last rung challengers learn while they are evaluated, from two to three times as many
    rows on average. If what they miss falls with 1/n, as for a law of few parameters, they still
    miss about as much as that rung has gained, D; so D is added to its value. Where nothing learns,
    each rung doubles the effort: if each gains half of its predecessor's gain, D is what is left as
    well.

    Example:
        >>> side = LowerSide(0.3, 0.01, 0.28, 0.95, "", 1000,
        ...     (EscalationStep("a", 1.0, 0.2, 0.01), EscalationStep("b", 3.0, 0.3, 0.01)))
        >>> round(best_estimate(side).value, 3)
        0.4
    """
    gains = [rung.gain for rung in side.escalation]
    growth = max(gains[-1] - gains[-2], 0.0) if len(gains) > 1 else 0.0
    growth = min(growth, max(side.value, 0.0))
    error = math.hypot(side.error, growth / 2)
    estimate = Estimate.of(side.value + growth, error, side.level)
    return dataclasses.replace(estimate, low=max(estimate.low, side.low))
