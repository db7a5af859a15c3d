"""The gap of the model: a lower side, an estimate and an upper side, with refutations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from wopt.store import GapKind
from wopt.typed import Typed
from wopt_certify.bounds import Entry, Floor, least
from wopt_certify.estimate import Estimate
from wopt_certify.lower import LowerSide, best_estimate

__all__ = ["Gap", "Refuted", "floors_of"]

_BY_ESTIMATE = "the upper end of the best estimate, which is not a fact"
_WITHHELD = "no upper side: what the errors seen would allow is within the error of the estimate"
_HIDDEN = "no upper side: too little was looked for (`wopt certify --budget` tries harder)"


@dataclasses.dataclass(frozen=True)
class Refuted(Typed):
    """An upper bound that a fact, or the best estimate, contradicts.

    Attributes:
        name: Name of the bound.
        value: Value of the bound.
        by: The floor that contradicts it; in the file ``refuted_by``, and in words ``by``.
    """

    name: str
    value: float
    by: Annotated[Floor, Field(validation_alias="refuted_by")]

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the file."""
        return super().to_dict() | {"by": str(self.by)}

    @classmethod
    def _key(cls, name: str) -> str:
        return "refuted_by" if name == "by" else name


@dataclasses.dataclass(frozen=True)
class Gap(Typed):
    """The bounds and the estimate of a gap: the first lines of a certificate.

    Attributes:
        of: The kind of the gap.
        lower: A lower confidence limit, without assumptions; ``None`` if no lower side was
            measured.
        level: Confidence of the lower side.
        estimate: The best estimate.
        upper: An upper bound under ``upper_needs``; ``None`` where no bound stands.
        upper_needs: The assumptions of the upper bound.
        refuted: Upper bounds that facts, or the best estimate, contradict.
        by: The origin of the lower side.
        estimate_by: The origin of the estimate.
        known: Whether the gap itself is known, up to sampling: both densities are, or the minimum.
        hidden: Whether bounds given the eps seen are left out, since the critics had few
            iterations.

    Example:
        >>> from wopt_certify.bounds import Label
        >>> side = LowerSide(0.5, 0.01, 0.48, 0.95, "runs/other", 1000)
        >>> low = Entry(0.01, Label.GIVEN_SEEN, refuted=floors_of(side, None)[0])
        >>> bounds = {"theorem_q": low, "a_priori": Entry(0.9, Label.GIVEN_SEEN)}
        >>> gap = Gap.between(GapKind.KL_DATA_MODEL, bounds, lower=side, needs="eps is as seen")
        >>> gap.lower, gap.upper, [r.name for r in gap.refuted]
        (0.48, 0.9, ['theorem_q'])
        >>> print(gap.text)  # doctest: +NORMALIZE_WHITESPACE
        KL(data | model) is at least 0.48 (95%, no assumption); best estimate 0.5 (estimate: the
        gain of runs/other); at most 0.9 only if eps is as seen.
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
    hidden: bool = False

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
        hidden: bool = False,
    ) -> Gap:
        """Return the gap between the lower side and the least bound that stands.

        Args:
            of: The kind of the gap.
            bounds: Upper bounds, with those that something contradicts marked.
            needs: The assumptions of the least of them.
            lower: The challengers' side, if challengers were run.
            known: The gap itself, where both densities (or the minimum) are known.
            level: Confidence of ``known``.
            hidden: Whether bounds given the eps seen are left out.
        """
        best = least(bounds)
        upper, needed = (None, None) if best is None else (best[1], needs)
        refuted = tuple(
            Refuted(name, e.value, e.refuted)
            for name, e in bounds.items()
            if e.value is not None and e.refuted is not None
        )
        gap = cls(of, None, level, None, upper, needed, refuted, hidden=hidden)
        if known is not None and not known.impossible and math.isfinite(known.value):
            return dataclasses.replace(
                gap, lower=known.low, estimate=known.value, known=True, by=of.known_by,
                estimate_by=of.known_by,
            )  # fmt: skip
        if lower is None:
            return gap
        by = (
            "the ladder of challengers by effort" if lower.escalation else f"the gain of {lower.by}"
        )
        return dataclasses.replace(
            gap, lower=lower.low, level=lower.level, estimate=best_estimate(lower).value,
            by=lower.by, estimate_by=by,
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The headline in words."""
        parts = [self._lower()]
        if self.estimate is not None:
            parts.append(f"best estimate {self.estimate:.4g} (estimate: {self.estimate_by})")
        if self.upper is not None:
            needs = f" only if {self.upper_needs}" if self.upper_needs else ""
            parts.append(f"at most {self.upper:.4g}{needs}")
        elif self.hidden:
            parts.append(_HIDDEN)
        elif any(one.by.estimated for one in self.refuted):
            parts.append(_WITHHELD)
        elif self.refuted:
            parts.append("no bound from above stands")
        else:
            parts.append("no bound from above is known")
        return "; ".join(parts) + "."

    def _lower(self) -> str:
        if self.lower is None:
            return f"{self.of}: no lower side was measured (no challenger was run)"
        known = "" if self.known else ", no assumption"
        return f"{self.of} is at least {max(self.lower, 0.0):.4g} ({self.level:.0%}{known})"


def floors_of(
    lower: LowerSide | None, known: Estimate | None, of: GapKind = GapKind.KL_DATA_MODEL
) -> list[Floor]:
    """Return lower limits of a gap, by a lower side and by what is known of it.

    Where the gap itself is not known, two limits that are not facts are used against upper bounds
    that rest on the errors seen: the upper end of the best estimate, which withholds false bounds
    more often than the estimate itself would (docs/certificates.md), and the least KL that the rows
    can tell from 0 (:attr:`~wopt_certify.lower.LowerSide.unseen`).
    """
    floors = []
    if lower is not None and lower.low > 0:
        floors.append(Floor(lower.low, f"the lower side ({lower.by})"))
    if known is not None and not known.impossible:
        return [*floors, Floor(known.low, of.known_by)] if known.low > 0 else floors
    if lower is None:
        return floors
    estimate = best_estimate(lower)
    unseen = Floor(lower.unseen, f"what {lower.rows:,} rows cannot tell from 0", estimated=True)
    if estimate.value > 0 and estimate.high > unseen.value:
        return [*floors, Floor(estimate.high, _BY_ESTIMATE, estimated=True)]
    return [*floors, unseen]
