"""Whether samples are copies: how near they are to training rows, beside how near new rows are."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.typed import Typed
from wopt_certify.two_sample.classifier import Units

__all__ = ["ClosestRecord", "closest_record"]

_PIECE = 256
"""Rows whose distances to all training rows exist at a time."""


@dataclasses.dataclass(frozen=True)
class ClosestRecord(Typed):
    """Distances to the closest training row, of samples and of held-out rows.

    Attributes:
        nearer: Estimate of P(a sample is nearer to the training rows than a held-out row is), ties
            counting half: 1/2 if samples are as new as held-out rows, 1 if they are copies.
        error: Its standard error.
        samples, rows: Median distances, in standard deviations of the training rows' columns.
    """

    nearer: float
    error: float
    samples: float
    rows: float

    @property
    def copies(self) -> bool:
        """Whether samples are nearer by more than two standard errors."""
        return self.nearer - 2 * self.error > 0.5

    def text(self) -> str:
        """Return the result in a sentence.

        Example:
            >>> ClosestRecord(0.5, 0.01, 0.3, 0.3).text()[:50]
            'samples are no nearer to training rows than held-o'
        """
        how = "nearer" if self.copies else "no nearer"
        return (
            f"samples are {how} to training rows than held-out rows are: a sample is the nearer "
            f"of the two with probability {self.nearer:.3f} +- {self.error:.3f} (1/2 if nothing is "
            f"memorised; median distances {self.samples:.3g} and {self.rows:.3g} sd)"
        )


def closest_record(train: Tensor, rows: Tensor, samples: Tensor) -> ClosestRecord:
    """Compare the distances to the closest training row of samples and of held-out rows.

    The estimate is Mann and Whitney's statistic of the two sets of distances, its error DeLong's,
    given the training rows.

    Args:
        train: Training rows, shape ``(k, d)``.
        rows: Held-out rows, shape ``(n, d)``.
        samples: Shape ``(m, d)``.

    Source: DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated
    receiver operating characteristic curves, 1988.

    Example:
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> closest_record(x[:100], x[100:200], x[:100]).nearer
        1.0
    """
    units = Units(train)
    near = units(train)
    row_distances = _distances(units(rows), near)
    sample_distances = _distances(units(samples), near)
    of_samples = _fraction_above(row_distances, sample_distances)
    of_rows = 1 - _fraction_above(sample_distances, row_distances)
    variance = of_samples.var() / len(of_samples) + of_rows.var() / len(of_rows)
    return ClosestRecord(
        float(of_samples.mean()),
        math.sqrt(float(variance)),
        float(sample_distances.median()),
        float(row_distances.median()),
    )


def _distances(points: Tensor, near: Tensor) -> Tensor:
    return torch.cat([torch.cdist(piece, near).amin(1) for piece in points.split(_PIECE)])


def _fraction_above(values: Tensor, at: Tensor) -> Tensor:
    """Return the fractions of values above each point, those equal counting half."""
    ordered = values.sort()[0]
    above = len(ordered) - torch.searchsorted(ordered, at, right=True)
    not_below = len(ordered) - torch.searchsorted(ordered, at)
    return (above + not_below).double() / (2 * len(ordered))
