"""Checks of columns that are read from a file."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wopt.data.columns import Column
    from wopt.data.curve import Curve

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
    if not isinstance(column.name, str) or not isinstance(column.mask, str):
        raise ValueError("a column's `name` or `mask` is not a text")
    if column.kind not in ("continuous", "integer", "categorical"):
        raise ValueError(f"column {column.name!r} is of an unknown kind")
    low_high = len(column.ends) == 2 and all(_number(end, infinite=True) for end in column.ends)
    if not low_high or not column.ends[0] < column.ends[1]:
        raise ValueError(f"column {column.name!r} has no `ends` (low, high)")
    numbers = (column.width, column.origin, 0.0 if column.fill is None else column.fill)
    if not all(_number(value) for value in numbers) or column.width < 0:
        raise ValueError(f"column {column.name!r}: `width`, `origin` or `fill` is not a number")
    if column.discrete and not column.width:
        raise ValueError(f"column {column.name!r} is {column.kind} and has no `width`")
    _check_categories(column)
    if column.curve is not None:
        _check_curve(column.name, column.curve)


def _check_categories(column: Column) -> None:
    import pyarrow

    if not all(isinstance(one, (str, bool, int, float)) for one in column.categories):
        raise ValueError(f"column {column.name!r}: its categories are neither texts nor numbers")
    cells = len(column.categories) - 0.5
    if column.kind == "categorical" and (
        not column.categories or column.ends != (-0.5, cells) or column.width != 1
    ):
        raise ValueError(f"column {column.name!r}: `ends` do not fit the categories")
    try:
        pyarrow.array(column.categories, pyarrow.type_for_alias(column.type))
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r}: {' '.join(str(error).split())}") from None


def _check_curve(name: str, curve: Curve) -> None:
    parts = (curve.x, curve.z, curve.slopes)
    lengths = {len(part) for part in parts}
    if len(lengths) > 1 or lengths == {0} or lengths == {1}:
        raise ValueError(f"column {name!r}: the parts of its curve differ in length")
    if not all(_number(value) for part in parts for value in part):
        raise ValueError(f"column {name!r}: its curve holds a value that is not a number")
    rising = all(a < b for part in parts[:2] for a, b in pairwise(part))
    if not rising or min(curve.slopes) <= 0:
        raise ValueError(f"column {name!r}: its curve does not increase")


def _number(value: Any, *, infinite: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return (infinite and not math.isnan(value)) or math.isfinite(value)
