"""What runs find of each other on common test rows, as the page of a comparison shows it."""

from __future__ import annotations

import dataclasses

from wopt_certify.lower import LowerSide

__all__ = ["Duels"]


@dataclasses.dataclass(frozen=True)
class Duels:
    """Every run against every other.

    Attributes:
        sides: Of each run a list: what each other run's density proves KL(data | model) to be at
            least; ``None`` for itself and where the two cannot be compared.
        reasons: Why some were not compared, a sentence each.
        rows: Of the common test rows.
        level: Confidence of each limit: 95 % for all rivals of a run together.
    """

    sides: tuple[tuple[LowerSide | None, ...], ...] = ()
    reasons: tuple[str, ...] = ()
    rows: int = 0
    level: float = 0.95

    @property
    def some(self) -> bool:
        """Whether any two runs were compared."""
        return any(side is not None for row in self.sides for side in row)

    def least(self, model: int) -> float | None:
        """Return the largest lower side of a run; ``None`` where nobody challenged it."""
        if model >= len(self.sides):
            return None
        lows = [max(side.low, 0.0) for side in self.sides[model] if side is not None]
        return max(lows, default=None)
