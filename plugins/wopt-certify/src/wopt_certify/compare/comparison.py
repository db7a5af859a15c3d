"""Pairwise lower sides of runs on common test rows, for the page of a comparison."""

from __future__ import annotations

import dataclasses

from wopt_certify.lower import LowerSide

__all__ = ["PairwiseComparison"]


@dataclasses.dataclass(frozen=True)
class PairwiseComparison:
    """Every run against every other.

    Attributes:
        sides: For each run a list with the lower side of its KL(data | model) by each other run's
            density; ``None`` for itself and where the two cannot be compared.
        reasons: Why some were not compared, a sentence each.
        rows: Number of common test rows.
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
        """Return the largest lower side of a run; ``None`` if it was not challenged."""
        if model >= len(self.sides):
            return None
        lows = [max(side.low, 0.0) for side in self.sides[model] if side is not None]
        return max(lows, default=None)
