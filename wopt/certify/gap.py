"""How far the model is: a lower side, an estimate and an upper side, and what refutes what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from wopt.certify.estimate import Estimate
from wopt.certify.lower import LowerSide
from wopt.typed import Number, Typed

__all__ = ["Floor", "Gap", "NamedBound", "Refuted", "Resolution", "assemble", "floor_of"]

_SEEN = "every first-order error were as small as the largest seen"
KNOWN_BY = "both densities, which are known"


@dataclasses.dataclass(frozen=True)
class Resolution(Typed):
    """Both sides at a resolution: of the laws blurred by N(0, sigma^2 I), without assumptions.

    Attributes:
        sigma: The blur, in the flow's coordinates.
        kl_low, kl_high: Bounds of KL between the blurred laws, nats.
    """

    sigma: float
    kl_low: Number
    kl_high: Number


@dataclasses.dataclass(frozen=True)
class NamedBound(Typed):
    """A bound with its name.

    Attributes:
        value: The bound.
        label: How it is known.
        by: Which bound it is.
        needs: What it needs, besides its theorem's conditions.
    """

    value: float
    label: str
    by: str
    needs: str = ""


@dataclasses.dataclass(frozen=True)
class Refuted(Typed):
    """A bound from above that a fact contradicts.

    Attributes:
        name: Of the bound.
        value: What it said.
        by: What contradicts it.
    """

    name: str
    value: float
    by: str


@dataclasses.dataclass(frozen=True)
class Floor:
    """What a quantity is known to be at least.

    Attributes:
        value: At the stated level.
        by: How that is known.
    """

    value: float
    by: str


@dataclasses.dataclass(frozen=True)
class Gap(Typed):
    """What is known of a gap: the first lines of a certificate.

    Attributes:
        of: Of what: ``KL(data | model)``, ``KL(model | target)`` or ``G(p_N) - min G``.
        lower: It is at least this, at the level, without assumptions; ``None`` where no lower
            side was measured.
        level: Confidence of the lower side.
        estimate: The best estimate.
        upper: It is at most this if what is needed holds; ``None`` where no bound stands.
        upper_needs: What that is.
        refuted: Bounds from above that facts contradict.
        by: What gave the lower side.
        estimate_by: What gave the estimate.
    """

    of: str
    lower: float | None
    level: float
    estimate: float | None
    upper: float | None
    upper_needs: str | None
    refuted: tuple[Refuted, ...] = ()
    by: str | None = None
    estimate_by: str = ""

    @property
    def in_nats(self) -> bool:
        """Whether it is a divergence."""
        return self.of.startswith("KL")

    @property
    def text(self) -> str:
        """The headline."""
        parts = [self._lower()]
        if self.estimate is not None:
            parts.append(f"best estimate {self.estimate:.4g} (estimate: {self.estimate_by})")
        if self.upper is not None:
            needs = f" only if {self.upper_needs}" if self.upper_needs else ""
            parts.append(f"at most {self.upper:.4g}{needs}")
        elif self.refuted:
            parts.append("no bound from above stands")
        else:
            parts.append("no bound from above is known")
        return "; ".join(parts) + "."

    def _lower(self) -> str:
        if self.lower is None:
            return f"{self.of}: no lower side was measured (no challenger was run)"
        known = "" if self.by == KNOWN_BY else ", no assumption"
        return f"{self.of} is at least {max(self.lower, 0.0):.4g} ({self.level:.0%}{known})"


def floor_of(lower: LowerSide | None, known: Estimate | None) -> Floor | None:
    """Return the larger of a lower side and the lower end of a known divergence."""
    floors = []
    if lower is not None and lower.low > 0:
        floors.append(Floor(lower.low, f"the lower side ({lower.by})"))
    if known is not None and not known.impossible and known.low > 0:
        floors.append(Floor(known.low, KNOWN_BY))
    return max(floors, key=lambda floor: floor.value, default=None)


def assemble(
    of: str,
    upper: Sequence[NamedBound],
    *,
    lower: LowerSide | None = None,
    known: Estimate | None = None,
    refuted: Sequence[Refuted] = (),
    level: float = 0.95,
) -> Gap:
    """Return the headline: bounds from above bow to what is known from below.

    Args:
        of: What it is of.
        upper: Bounds from above that nothing has refuted yet.
        lower: The challengers' side, where some were run.
        known: The gap itself, where both densities (or the minimum) are known.
        refuted: What is refuted already, by a later fall of the energy, say.
        level: Confidence of ``known``.

    Example:
        >>> side = LowerSide(0.5, 0.01, 0.48, 0.95, "runs/other", 1000)
        >>> bounds = [NamedBound(0.01, "bound given the eps seen", "theorem_q"),
        ...     NamedBound(0.9, "bound given the eps seen", "a_priori", "eps is as seen")]
        >>> gap = assemble("KL(data | model)", bounds, lower=side)
        >>> gap.lower, gap.upper, [r.name for r in gap.refuted]
        (0.48, 0.9, ['theorem_q'])
        >>> print(gap.text)  # doctest: +NORMALIZE_WHITESPACE
        KL(data | model) is at least 0.48 (95%, no assumption); best estimate 0.5 (estimate: the
        gain of runs/other); at most 0.9 only if eps is as seen.
    """
    floor = floor_of(lower, known)
    contradicted = list(refuted)
    standing = []
    for bound in upper:
        if floor is not None and bound.value < floor.value:
            by = f"{floor.by}: at least {floor.value:.4g}"
            contradicted.append(Refuted(bound.by, bound.value, by))
        else:
            standing.append(bound)
    best = min(standing, key=lambda bound: bound.value, default=None)
    below, estimate = _sides(lower, known)
    return Gap(
        of=of,
        lower=below[0],
        level=lower.level if lower is not None and below[1] == lower.by else level,
        estimate=estimate[0],
        upper=None if best is None else best.value,
        upper_needs=None if best is None else best.needs or _SEEN,
        refuted=tuple(contradicted),
        by=below[1],
        estimate_by=estimate[1],
    )


def _sides(
    lower: LowerSide | None, known: Estimate | None
) -> tuple[tuple[float | None, str | None], tuple[float | None, str]]:
    """Return the lower side and the estimate, each with what gave it; what is known goes first."""
    if known is not None and not known.impossible and math.isfinite(known.value):
        return (known.low, KNOWN_BY), (known.value, KNOWN_BY)
    if lower is not None:
        by = "the ladder of challengers by effort" if lower.ladder else f"the gain of {lower.by}"
        return (lower.low, lower.by), (lower.value, by)
    return (None, None), (None, "")
