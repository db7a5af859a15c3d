"""The results of two-sample tests as one typed record."""

from __future__ import annotations

import dataclasses
from typing import Any

from wopt.typed import Typed
from wopt_certify.two_sample.classifier import ClassifierTest
from wopt_certify.two_sample.columns import ColumnDifference
from wopt_certify.two_sample.mmd import MMDTest
from wopt_certify.two_sample.regions import Region

__all__ = ["TwoSampleReport"]


@dataclasses.dataclass(frozen=True)
class TwoSampleReport(Typed):
    """The result of two-sample tests of held-out rows against a model's samples.

    Attributes:
        classifier: The classifier test.
        mmd: The kernel test.
        p_value: p-value of "one law", of both tests together (Bonferroni).
        level: Confidence; the laws are said to differ where p is at most 1 - level.
        columns: Columns by difference, the largest first; p-values corrected for their number.
        regions: Regions of clear difference; meaningful only where the laws differ.
        overflowed: Number of samples left out because they are not finite.
    """

    classifier: ClassifierTest
    mmd: MMDTest
    p_value: float
    level: float
    columns: tuple[ColumnDifference, ...]
    regions: tuple[Region, ...]
    overflowed: int

    @property
    def differs(self) -> bool:
        """Whether the tests together reject "one law"."""
        return self.p_value <= 1 - self.level

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables, lists and numbers."""
        return super().to_dict() | {"differs": self.differs}

    def text(self) -> str:
        """Return the result in a few sentences."""
        c = self.classifier
        note = (
            f"a classifier tells held-out rows from samples with accuracy {c.accuracy:.3f} +- "
            f"{c.accuracy_error:.3f} (1/2 if alike); p = {self.p_value:.3g} of one law, classifier "
            f"and kernel test together"
        )
        if not self.differs:
            return (
                f"{note}. No difference was found with {c.judged} rows of each; "
                "smaller ones may exist"
            )
        parts = [note]
        differing = [one for one in self.columns if one.p_value <= 1 - self.level][:3]
        if differing:
            each = ", ".join(f"{one.name} (distance {one.distance:.2f})" for one in differing)
            parts.append(f"columns that differ by themselves: {each}")
        for region in self.regions:
            what = "few" if region.favours == "rows" else "many"
            where = ", ".join(f"{name} {away:+.1f} sd" for name, away in region.columns[:3])
            parts.append(
                f"too {what} samples around {where}: {region.samples_share:.1%} of the samples, "
                f"{region.rows_share:.1%} of the rows"
            )
        return "; ".join(parts)
