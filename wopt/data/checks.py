"""Checks of columns that are read from a file."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wopt.data.columns import Column
    from wopt.data.quantile_transform import QuantileTransform

__all__ = ["check_column"]


def check_column(column: Column) -> None:
    """Raise unless a column that a file describes is valid.

    Raises:
        ValueError: The column is invalid; the message says why.

    Example:
        >>> from wopt.data.columns import Column
        >>> check_column(Column("age", ends=(1.0, 0.0)))
        Traceback (most recent call last):
        ValueError: column 'age' has no `ends` (low, high)
    """
    if not column.bounds[0] < column.bounds[1]:
        raise ValueError(f"column {column.name!r} has no `ends` (low, high)")
    numbers = (column.width, column.origin, column.fill or 0.0)
    if not all(map(math.isfinite, numbers)) or column.width < 0:
        raise ValueError(f"column {column.name!r}: `width`, `origin` or `fill` is not finite")
    if column.discrete and not column.width:
        raise ValueError(f"column {column.name!r} is {column.kind} and has no `width`")
    _check_categories(column)
    if column.curve is not None:
        _check_curve(column.name, column.curve)


def _check_categories(column: Column) -> None:
    import pyarrow

    cells = len(column.categories) - 0.5
    if column.kind == "categorical" and (
        not column.categories or column.bounds != (-0.5, cells) or column.width != 1
    ):
        raise ValueError(f"column {column.name!r}: `ends` do not fit the categories")
    try:
        pyarrow.array(column.categories, pyarrow.type_for_alias(column.type))
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r}: {' '.join(str(error).split())}") from None


def _check_curve(name: str, curve: QuantileTransform) -> None:
    parts = (curve.x, curve.z, curve.slopes)
    lengths = {len(part) for part in parts}
    if len(lengths) > 1 or lengths == {0} or lengths == {1}:
        raise ValueError(f"column {name!r}: the parts of its curve differ in length")
    if not all(math.isfinite(value) for part in parts for value in part):
        raise ValueError(f"column {name!r}: its curve holds a value that is not finite")
    rising = all(a < b for part in parts[:2] for a, b in pairwise(part))
    if not rising or min(curve.slopes) <= 0:
        raise ValueError(f"column {name!r}: its curve does not increase")
