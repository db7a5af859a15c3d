"""The lower side: what another density, fitted to the same particles, finds left to gain."""

from __future__ import annotations

import dataclasses
import math

from wopt.typed import Number, Typed
from wopt_certify.estimate import Estimate
from wopt_certify.tries import Tries

__all__ = ["LowerSide", "Rung", "best_estimate"]

_ERRORS = 2.5
"""Standard errors that a lower limit at 95 % loses."""


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
        tries: The same in counts, by which it can be repeated.

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
    tries: Tries | None = None

    @property
    def unseen(self) -> float:
        """A KL that the truth itself as challenger would not tell from 0 on so many rows, 12.5/n.

        For a small KL the log-ratio of two densities has the variance 2 KL, and a limit at 95 %
        loses some 2.5 standard errors:  KL - 2.5 sqrt(2 KL/n) > 0  where  KL > 12.5/n. An estimate.

        Example:
            >>> LowerSide(0.0, 0.001, 0.0, 0.95, "", 2500).unseen
            0.005
        """
        return 2 * _ERRORS**2 / self.rows


def best_estimate(side: LowerSide) -> Estimate:
    """Return what KL may be, from how the ladder's gains grow: an estimate, no bound.

    On the last rung challengers learn while they are judged, from two to three times as many rows
    on average. If what they miss falls with 1/n, as for a law of few parameters, they still miss
    about as much as that rung has gained, D; so D is added to its value. Where nothing learns, each
    rung doubles the effort: were each to gain half of its predecessor's, D is what is left as well.

    Example:
        >>> side = LowerSide(0.3, 0.01, 0.28, 0.95, "", 1000,
        ...     (Rung("a", 1.0, 0.2, 0.01), Rung("b", 3.0, 0.3, 0.01)))
        >>> round(best_estimate(side).value, 3)
        0.4
    """
    gains = [rung.gain for rung in side.ladder]
    growth = max(gains[-1] - gains[-2], 0.0) if len(gains) > 1 else 0.0
    growth = min(growth, max(side.value, 0.0))
    error = math.hypot(side.error, growth / 2)
    estimate = Estimate.of(side.value + growth, error, side.level)
    return dataclasses.replace(estimate, low=max(estimate.low, side.low))
