"""The weight of tails: the span of a column's outermost rows over that of its middle half."""

from __future__ import annotations

from torch import Tensor

__all__ = ["tail_weight"]

_OUTERMOST = 0.001
"""Fraction of the rows on either side."""


def tail_weight(x: Tensor) -> float:
    """Return the span of the outermost rows over that of the middle half, largest over columns.

        (q(0.999) - q(0.001)) / (q(0.75) - q(0.25)),

    which no shift or scale changes: 4.6 for a normal law, 9 for Laplace's, 15 for a log-normal one,
    27 for Student's with two degrees of freedom, the first without a variance, and 318 for
    Cauchy's. A column whose middle half is one value has no such scale, and counts as 0.

    Args:
        x: Encoded rows, each column on the whole line, shape ``(n, d)``.

    Example:
        >>> import torch
        >>> u = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:, None]
        >>> round(tail_weight(torch.special.ndtri(u)), 1), round(tail_weight(u.log()), 1)
        (4.6, 6.3)
    """
    ordered, last = x.double().sort(0).values, len(x) - 1
    low, high = (ordered[round(p * last)] for p in (_OUTERMOST, 1 - _OUTERMOST))
    first, third = (ordered[round(p * last)] for p in (0.25, 0.75))
    weights = ((high - low) / (third - first)).nan_to_num(0.0, posinf=0.0)
    return float(weights.max())
