"""Supports and grids of columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.data.columns import Column
from wopt.errors import DataError

__all__ = ["column_support", "grid_offset"]


def grid_offset(x: Tensor, width: float) -> float | None:
    """Return a point of the grid of this spacing that holds all values ``(n,)``; else ``None``."""
    known = x[torch.isfinite(x)]
    if len(known) == 0:
        return None
    origin = float(known[0] - width * (known[0] / width).round())
    cells = (known - origin) / width
    return origin if bool(((cells - cells.round()).abs() < 1e-6).all()) else None


def column_support(
    name: str, x: Tensor, column: Column, wish: str | Sequence[float], origin: str
) -> tuple[float, float]:
    """Return the ends of the support of a column ``(n,)``; for integers those of the cells.

    Args:
        name: Name of the column.
        x: Values, shape ``(n,)``.
        column: Description of the column.
        wish: ``(low, high)``, ``"positive"``, or ``"infer"``.
        origin: The file, for messages.

    Raises:
        DataError: Values lie outside, or on an end, which the map to the line sends to infinity.
    """
    half = column.width / 2 if column.discrete else 0.0
    known = x[torch.isfinite(x)]
    if wish == "infer":
        return _inferred(known, column)
    if isinstance(wish, str):
        low, high = (column.width if column.discrete else 0.0), math.inf
    else:
        low, high = float(wish[0]), float(wish[1])
    low, high = low - half, high + half
    outside = (known < low) | (known > high)
    if outside.any():
        raise DataError(
            f"{origin}: {int(outside.sum())} value(s) of column {name!r} lie outside of its "
            f"support {_shown(wish)}, the first is {float(known[outside][0]):g}; widen it, "
            "or leave these rows out by `where`"
        )
    ends = (known == low) | (known == high)
    if ends.any():
        raise DataError(
            f"{origin}: {int(ends.sum())} value(s) of column {name!r} lie on an end of its support "
            f"{_shown(wish)}, where a density has no room for them; give ends that are not "
            "reached, or, for whole numbers, kinds = {" + name + ' = "integer"}'
        )
    return low, high


def _inferred(x: Tensor, column: Column) -> tuple[float, float]:
    low, high = float(x.min()), float(x.max())
    if column.discrete:
        return (-column.width / 2, math.inf) if low >= 0 else column.bounds
    if low > 0:
        return (0.0, 1.0) if high < 1 else (0.0, math.inf)
    return column.bounds


def _shown(wish: str | Sequence[float]) -> str:
    return wish if isinstance(wish, str) else f"[{wish[0]:g}, {wish[1]:g}]"
