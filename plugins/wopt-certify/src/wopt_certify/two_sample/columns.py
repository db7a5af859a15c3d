"""Tests of single columns: Kolmogorov-Smirnov, corrected for their number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.typed import Number, Typed

__all__ = ["ColumnDifference", "column_differences", "holm", "kolmogorov_smirnov"]


@dataclasses.dataclass(frozen=True)
class ColumnDifference(Typed):
    """One column of rows against samples.

    Attributes:
        name: Name of the column.
        distance: Kolmogorov-Smirnov statistic, the largest difference of the distribution
            functions.
        p_value: p-value of "one law in this column", after Holm's correction over all columns.
        shift: The samples' mean minus the rows', over the rows' standard deviation.
        spread: The samples' standard deviation over the rows'.
    """

    name: str
    distance: float
    p_value: float
    shift: Number
    spread: Number


def column_differences(
    rows: Tensor, samples: Tensor, names: Sequence[str]
) -> tuple[ColumnDifference, ...]:
    """Return the differences of all columns, the largest first.

    Args:
        rows: Shape ``(n, d)``.
        samples: Shape ``(m, d)``.
        names: Names of the d columns.

    Example:
        >>> x = torch.arange(100.0).double()[:, None]
        >>> first = column_differences(x, x + 50, ["a"])[0]
        >>> first.name, first.distance
        ('a', 0.5)
    """
    distances = [kolmogorov_smirnov(rows[:, j], samples[:, j]) for j in range(rows.shape[1])]
    corrected = holm([_tail(distance, len(rows), len(samples)) for distance in distances])
    sd = rows.std(0)
    unit = torch.where(sd > 0, sd, 1.0)
    shift = (samples.mean(0) - rows.mean(0)) / unit
    spread = samples.std(0) / unit
    differences = [
        ColumnDifference(names[j], distances[j], corrected[j], float(shift[j]), float(spread[j]))
        for j in range(rows.shape[1])
    ]
    return tuple(sorted(differences, key=lambda one: -one.distance))


def kolmogorov_smirnov(x: Tensor, y: Tensor) -> float:
    """Return the largest difference of two empirical distribution functions, in [0, 1].

    The samples have shapes ``(n,)`` and ``(m,)``.

    Example:
        >>> kolmogorov_smirnov(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0]))
        0.5
    """
    x, y = x.sort()[0].contiguous(), y.sort()[0].contiguous()
    at = torch.cat([x, y])
    below_x = torch.searchsorted(x, at, right=True).double() / len(x)
    below_y = torch.searchsorted(y, at, right=True).double() / len(y)
    return float((below_x - below_y).abs().max())


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's method, which bounds the chance of any false rejection.

    Example:
        >>> holm([0.01, 0.04, 0.5])
        [0.03, 0.08, 0.5]
    """
    order = sorted(range(len(p_values)), key=lambda j: p_values[j])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, j in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[j]))
        corrected[j] = largest
    return corrected


def _tail(distance: float, n: int, m: int) -> float:
    """Return P(D >= distance) under one law, by Kolmogorov's series with Stephens's correction."""
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(max(sum(terms), 0.0), 1.0)
