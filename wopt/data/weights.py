"""Sample weights: rows are drawn in proportion to them, so that later code needs no weights."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.errors import DataError

__all__ = ["check_weights", "resampled", "thinned_rows"]

_FEWEST = 20
"""Least number of rows in a split."""


def check_weights(w: Tensor, name: str) -> None:
    """Raise unless weights, shape ``(n,)``, are finite, non-negative and not all zero.

    Raises:
        DataError: A weight is invalid, or all are zero; the message has the first row.
    """
    bad = ~torch.isfinite(w) | (w < 0)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        raise DataError(
            f"weights {name!r}: {int(bad.sum())} of {len(w)} are negative, missing or infinite, "
            f"first in row {row} ({float(w[row]):g}); a weight is a number from 0 on"
        )
    if not float(w.sum()) > 0:
        raise DataError(f"weights {name!r}: all are zero, so no row counts")


def resampled(w: Tensor, rng: torch.Generator) -> Tensor:
    """Return ``n`` row numbers, row i about ``n w_i / sum w`` times, by systematic resampling.

    The number is rounded up or down at random, so it adds little noise, and its mean is exact.

    Args:
        w: Weights, shape ``(n,)``.
        rng: Random numbers.

    Example:
        >>> w = torch.tensor([1.0, 2.0, 1.0, 0.0])
        >>> resampled(w, torch.Generator().manual_seed(0)).tolist()
        [0, 1, 1, 2]
    """
    ends = torch.cumsum(w.double(), 0) / w.double().sum()
    shift = torch.rand((), generator=rng, dtype=torch.float64)
    levels = (torch.arange(len(w), dtype=torch.float64) + shift) / len(w)
    # Rounding may leave the last end below one; a level beyond it belongs to the last row.
    last = int(w.nonzero()[-1, 0])
    return torch.searchsorted(ends, levels, right=True).clamp(max=last)


def thinned_rows(w: Tensor, rng: torch.Generator, what: str) -> Tensor:
    """Return row numbers, shape ``(m,)``, each kept with probability ``w_i / max w``, w ``(n,)``.

    Those kept are independent draws of the weighted law, so standard errors over them are right.

    Raises:
        DataError: Fewer than 20 rows of more would be kept.
    """
    kept = (torch.rand(len(w), generator=rng, dtype=torch.float64) * w.max() < w).nonzero()[:, 0]
    if len(kept) < min(_FEWEST, len(w)):
        raise DataError(
            f"{len(kept)} of {len(w)} rows of the {what} split are left by the weights (each is "
            f"kept in proportion to its own), and at least {_FEWEST} are needed; give more rows, a "
            "larger share of them to this split (`split`), or cap the largest weights"
        )
    return kept
