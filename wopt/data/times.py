"""Columns of dates and times, as days or seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wopt.data.column import Column
from wopt.data.texts import is_text, times_of_texts
from wopt.errors import DataError

_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400


def is_time(kind: str) -> bool:
    """Whether the name of an Arrow type is that of dates, times or durations.

    Example:
        >>> is_time("timestamp[ns]"), is_time("double")
        (True, False)
    """
    return kind.startswith(("date", "timestamp", "time", "duration"))


def column_of_times(name: str, values: Any) -> Column:
    """Return the column of an Arrow column of times: days, if they are whole ones, or seconds.

    Example:
        >>> import pyarrow
        >>> days = pyarrow.array([0, 7], pyarrow.date32())
        >>> column_of_times("day", days).kind
        'integer'
    """
    kind = str(values.type)
    kind = kind.partition(",")[0] + "]" * ("," in kind)  # without a time zone
    day = round(_DAY / seconds(Column(name, type=kind)))
    counts, known = _counts(values)
    if bool((counts[known] % day == 0).all()):
        return Column(name, "integer", width=1.0, type=kind, unit=day)
    return Column(name, type=kind, unit=day // _DAY)


def seconds(column: Column) -> float:
    """Return how many seconds one of a column's numbers counts."""
    unit = column.type[column.type.index("[") + 1 : -1]
    return column.unit * _DAY if unit == "day" else column.unit / _TICKS[unit]


def times(values: Any, column: Column, origin: str) -> Tensor:
    """Return times as numbers, shape ``(n,)``: days or seconds, NaN where one is missing."""
    import pyarrow

    if column.format and is_text(values.type):
        read = times_of_texts(values, (column.format,))
        values = values if read is None else read[0]
    try:
        counts, known = _counts(values.cast(pyarrow.type_for_alias(column.type)))
    except (pyarrow.ArrowException, AttributeError):
        raise DataError(
            f"{origin}: column {column.name!r} should be {column.type} and holds {values.type}"
        ) from None
    units, rest = np.divmod(counts, column.unit)  # ticks may be beyond 2^53
    return torch.from_numpy(np.where(known, units + rest / column.unit, np.nan))


def of_times(x: NDArray[np.float64], column: Column) -> Any:
    """Return numbers ``(n,)`` as an Arrow array of times, null where they are not finite.

    Example:
        >>> day = Column("day", "integer", width=1.0, type="date32[day]")
        >>> of_times(np.array([1.0, np.nan]), day).to_pylist()
        [datetime.date(1970, 1, 2), None]
    """
    import pyarrow

    kind = pyarrow.type_for_alias(column.type)
    known = np.isfinite(x)
    most = np.iinfo(np.int32 if kind.bit_width == 32 else np.int64).max // column.unit
    x = np.where(known, x, 0).clip(-most, most)
    whole = np.floor(x).astype(np.int64)
    counts = whole * column.unit + np.rint((x - whole) * column.unit).astype(np.int64)
    if pyarrow.types.is_time(kind):  # of a day, after which it begins again
        counts %= _DAY * column.unit
    small = pyarrow.array(counts, mask=~known).cast("int32" if kind.bit_width == 32 else "int64")
    return small.cast(kind)


def _counts(values: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times as numbers of their unit, and which are known."""
    counts = values.cast("int32" if values.type.bit_width == 32 else "int64")
    known = np.asarray(counts.is_valid())
    return np.asarray(counts.fill_null(0)).astype(np.int64), known
