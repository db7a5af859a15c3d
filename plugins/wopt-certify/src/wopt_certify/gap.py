"""The gap of the model: a lower side, what was found so far, and an upper side that stands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from wopt.store import GapKind
from wopt.typed import Number, Typed
from wopt_certify.bounds import Entry, Floor, Label, least
from wopt_certify.estimate import Estimate


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

    Source: docs/theory 4; the chain rule of KL with a density that is not the truth.
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
        shown = {"the first": 0} | ({str(count // 2): count // 2 - 1} if count > 3 else {})
        parts = [f"{max(self.escalation[k].gain, 0.0):.2g} by {n}" for n, k in shown.items()]
        return f"by {count} densities ({', '.join(parts)})"


@dataclasses.dataclass(frozen=True)
class Refuted(Typed):
    """An upper bound that a fact contradicts.

    Attributes:
        by: The floor that contradicts it; in the file ``refuted_by``, and in words ``by``.
    """

    in_file: ClassVar = {"by": "refuted_by"}
    name: str
    value: float
    by: Annotated[Floor, Field(validation_alias="refuted_by")]

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the file."""
        return super().to_dict() | {"by": str(self.by)}


@dataclasses.dataclass(frozen=True)
class Gap(Typed):
    """What is known of a gap: the first lines of a certificate.

    Bounds given the errors that test fields have seen are no part of it: they are in the steps,
    with what each of them needs.

    Attributes:
        lower: A lower confidence limit, without assumptions; ``None`` if none was measured.
        estimate: The gap where it is known, or the gain of the best density so far: too small.
        upper: An upper bound under ``upper_needs``; ``None`` where no bound stands.
        upper_needs: The assumptions of the upper bound.
        by: The origin of the lower side.
        known: Whether the gap itself is known, up to sampling: both densities are, or the minimum.

    Example:
        >>> from wopt_certify.bounds import Label
        >>> side = LowerSide(0.5, 0.01, 0.48, 0.95, "runs/other", 1000)
        >>> low = Entry(0.01, Label.GIVEN_SEEN, refuted=floors_of(side, None)[0])
        >>> bounds = {"theorem_q": low, "a_priori": Entry(0.9, Label.GIVEN_SEEN)}
        >>> gap = Gap.between(GapKind.KL_DATA_MODEL, bounds, lower=side)
        >>> gap.lower, gap.upper, [r.name for r in gap.refuted]
        (0.48, None, ['theorem_q'])
        >>> print(gap.text)
        KL(data | model) is at least 0.48 (95%, no assumption); found so far 0.5 by runs/other.
    """

    of: GapKind
    lower: float | None
    level: float
    estimate: float | None
    upper: float | None
    upper_needs: str | None
    refuted: tuple[Refuted, ...] = ()
    by: str | None = None
    estimate_by: str = ""
    known: bool = False

    @classmethod
    def between(
        cls,
        of: GapKind,
        bounds: Mapping[str, Entry],
        *,
        needs: str = "",
        lower: LowerSide | None = None,
        known: Estimate | None = None,
        level: float = 0.95,
    ) -> Gap:
        """Return the gap between the lower side and the least bound that stands.

        Args:
            needs: The assumptions of the least of them.
            lower: The challengers' side, if challengers were run.
            known: The gap itself, where both densities (or the minimum) are known.
            level: Confidence of ``known``.
        """
        best = least({k: e for k, e in bounds.items() if e.label is not Label.GIVEN_SEEN})
        upper, needed = (None, None) if best is None else (best[1], needs)
        refuted = tuple(
            Refuted(name, e.value, e.refuted)
            for name, e in bounds.items()
            if e.value is not None and e.refuted is not None
        )
        if known is not None and not known.impossible and math.isfinite(known.value):
            by, low, value = of.known_by, known.low, known.value
            return cls(of, low, level, value, upper, needed, refuted, by, by, known=True)
        if lower is None:
            return cls(of, None, level, None, upper, needed, refuted)
        by, low, level, value = lower.by, lower.low, lower.level, max(lower.value, 0.0)
        return cls(of, low, level, value, upper, needed, refuted, by, lower.growth)

    @property
    def text(self) -> str:
        """The headline in words."""
        parts = [self._lower()]
        if self.estimate is not None and self.by is not None and not self.known:
            found = f"found so far {self.estimate:.4g} {self.estimate_by}"
            parts.append(found if self.estimate else "no density that was tried is better")
        elif self.estimate is not None:
            parts.append(f"estimate {self.estimate:.4g}: {self.estimate_by}")
        if self.upper is not None:
            needs = f" if {self.upper_needs}" if self.upper_needs else ""
            parts.append(f"at most {self.upper:.4g}{needs}")
        return "; ".join(parts) + "."

    def _lower(self) -> str:
        if self.lower is None:
            return f"{self.of}: no lower side was measured (no challenger was run)"
        known = "" if self.known else ", no assumption"
        return f"{self.of} is at least {max(self.lower, 0.0):.4g} ({self.level:.0%}{known})"


def floors_of(
    lower: LowerSide | None, known: Estimate | None, of: GapKind = GapKind.KL_DATA_MODEL
) -> list[Floor]:
    """Return the facts that limit a gap from below: a lower side, and the gap where it is known."""
    floors = []
    if lower is not None and lower.low > 0:
        floors.append(Floor(lower.low, f"the lower side ({lower.by})"))
    if known is not None and not known.impossible and known.low > 0:
        floors.append(Floor(known.low, of.known_by))
    return floors
