"""Tables of which nothing can be modelled, told from a file before torch is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wopt.data.tables import each_column, floats
from wopt.data.texts import are_numbers, is_text, names, times_of_texts
from wopt.errors import DataError

SPLIT = (0.8, 0.1, 0.1)
"""Fractions of the rows for training, validation and test, where nothing else is said."""


def split_ends(n: int, fractions: Sequence[float]) -> list[int]:
    """Return the row numbers at which n rows are cut into parts.

    Raises:
        DataError: A part would be empty.

    Example:
        >>> split_ends(10, (0.8, 0.1, 0.1))
        [8, 9]
    """
    ends = [round(sum(fractions[: k + 1]) * n) for k in range(len(fractions) - 1)]
    if min(np.diff([0, *ends, n])) <= 0:
        raise DataError(
            f"{n} rows split by {list(fractions)} leave a part empty; give more rows or other "
            "fractions (train, validation, test)"
        )
    return ends


def counts_rows(values: Any) -> bool:
    """Whether whole numbers are 0, 1, 2, ... or 1, 2, 3, ..."""
    x = floats(values)
    counted = values.null_count == 0 and x[0] in (0, 1)
    return bool(counted and (x == x[0] + np.arange(len(x))).all())


def left_out(values: Any) -> str:
    """Return why the values of an Arrow column are not modelled, or nothing."""
    import pyarrow.types

    if pyarrow.types.is_nested(values.type):  # which is refused by name
        return ""
    if values.null_count == len(values):
        return "has no value"
    if pyarrow.types.is_integer(values.type) and counts_rows(values):
        return "counts the rows"
    text = is_text(values.type) and not are_numbers(values)
    if text and times_of_texts(values) is None and (why := names(values)):
        return why
    return "" if len(values[:1000].unique()) > 1 or len(values.unique()) > 1 else "does not vary"


def nothing_left(left: Iterable[tuple[str, str]], origin: str) -> DataError:
    """Return the error for a table whose columns are all left out, by name and reason."""
    whys = "; ".join(f"column {name!r} {why}" for name, why in left)
    return DataError(f"{origin}: no column is left to be modelled: {whys}")


def check_file(source: Mapping[str, Any]) -> None:
    """Raise if a file cannot be read, its rows are too few, or all its columns are left out.

    Args:
        source: Options of the source; where others than the file are given, it is only read.
    """
    left = list[tuple[str, str]]()
    for name, values in each_column(source["path"], source.get("key")):
        if source.keys() - {"name", "path", "key"}:
            return
        if not left:
            split_ends(len(values), SPLIT)
        why = left_out(values) if name else "has no name"
        if not why:
            return
        left.append((name, why))
    raise nothing_left(left, str(source["path"]))
