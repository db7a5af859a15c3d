"""What the columns of a table are: kinds, supports and grids, from their values or as asked for."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt.data.column import Category, Column, Derived, Kind
from wopt.data.refusals import counts_rows
from wopt.data.tables import floats, is_numeric
from wopt.data.texts import (
    CATEGORIES,
    are_numbers,
    is_number,
    is_text,
    names,
    times_of_texts,
    words_for_gaps,
)
from wopt.data.times import column_of_times, is_time, times
from wopt.errors import DataError


def gridded(column: Column, x: Tensor, width: float) -> Column:
    """Return a column for values ``(n,)`` with noise; it is rounded if they lie on such a grid."""
    known = x[torch.isfinite(x)]
    if len(known):
        origin = float(known[0] - width * (known[0] / width).round())
        cells = (known - origin) / width
        if bool(((cells - cells.round()).abs() < 1e-6).all()):
            return dataclasses.replace(column, kind="integer", width=width, origin=origin)
    return dataclasses.replace(column, width=width)


def column_support(
    x: Tensor, column: Column, wish: str | Sequence[float], origin: str
) -> tuple[float, float]:
    """Return the bounds of the support of a column's values ``(n,)``; for integers of the cells.

    Args:
        x: Values, shape ``(n,)``.
        wish: ``(low, high)``, ``"positive"``, or ``"infer"``.
    """
    half = column.width / 2 if column.discrete else 0.0
    known = x[torch.isfinite(x)]
    if wish == "infer":
        return _inferred(known, column)
    low, high = (2 * half, math.inf) if isinstance(wish, str) else map(float, wish)
    low, high = low - half, high + half
    shown = wish if isinstance(wish, str) else f"[{wish[0]:g}, {wish[1]:g}]"
    outside, ends = (known < low) | (known > high), (known == low) | (known == high)
    if outside.any():
        raise DataError(
            f"{origin}: {int(outside.sum())} value(s) of column {column.name!r} lie outside of its "
            f"support {shown}, the first is {float(known[outside][0]):g}; widen it, or leave these "
            "rows out by `where`"
        )
    if ends.any():
        raise DataError(
            f"{origin}: {int(ends.sum())} value(s) of column {column.name!r} lie on an end of its "
            f"support {shown}, where a density has no room for them; give ends that are not "
            "reached, or, for whole numbers, kinds = {" + column.name + ' = "integer"}'
        )
    return low, high


def _inferred(x: Tensor, column: Column) -> tuple[float, float]:
    low, high = float(x.min()), float(x.max())
    if column.discrete:
        return (-column.width / 2, math.inf) if low >= 0 else column.bounds
    if low > 0:
        return (0.0, 1.0) if high < 1 else (0.0, math.inf)
    return column.bounds


def column_of(name: str, values: Any, kind: Kind | None, origin: str) -> Column | Derived:
    """Return the description of a column by its type, or that it is left out.

    Truth values, texts and dictionaries are categories, integers are integers, dates and times
    count days or seconds, texts of numbers are numbers, and other numbers are continuous, unless a
    kind is given. Names, row numbers and empty columns are left out.

    Example:
        >>> import pyarrow
        >>> column_of("ok", pyarrow.chunked_array([[True, False]]), None, "x.csv").categories
        (False, True)
    """
    import pyarrow.types

    types, dtype = pyarrow.types, values.type
    numeric, texts = is_numeric(dtype), is_text(dtype)
    if values.null_count == len(values):
        return Derived(Column(name, type="null"), "has no value")
    if types.is_temporal(dtype):
        return column_of_times(name, values)
    if not (numeric or texts or types.is_boolean(dtype) or types.is_dictionary(dtype)):
        raise _refused(name, f"holds values of type {dtype}", origin, ", or make it numbers")
    if texts and kind != "categorical" and are_numbers(values, asked=kind is not None):
        width, words = float(kind == "integer"), words_for_gaps(values)
        return Column(name, kind or "continuous", width=width, categories=words, type="string")
    if texts and kind is None and (made := times_of_texts(values)):
        return dataclasses.replace(column_of_times(name, made[0]), format=made[1])
    if kind == "categorical" or (kind is None and not numeric):
        if texts and kind is None and (why := names(values)):
            few = [v for v in values.unique().to_pylist() if v is not None][:CATEGORIES]
            return Derived(_categorical(name, tuple(few), dtype), why, step=1.0)
        return _categorical(name, _categories(name, values, origin), dtype)
    if not numeric:
        raise _refused(name, f"holds {dtype} and cannot be {kind}", origin)
    if kind == "integer" or (kind is None and types.is_integer(dtype)):
        _check_integers(name, values, origin)
        column = Column(name, "integer", width=1.0, type=str(dtype))
        return column if kind or not counts_rows(values) else _row_number(column, values)
    return Column(name, type=str(dtype) if types.is_floating(dtype) else "double")


def numbers_of(
    column: Column, values: Any, origin: str, *, codes: bool = False, single: bool = False
) -> Tensor:
    """Return an Arrow column as numbers, shape ``(n,)``, float64; NaN where a value is missing.

    Args:
        codes: Whether numbers may stand for categories that are texts, as in an array.
        single: Whether the values are float32 and stay so; the result may share the column's
            memory, which must not be written to.
    """
    if column.kind != "categorical":
        if is_time(column.type):
            return times(values, column, origin)
        if column.type == "string" and is_text(values.type):
            values = _of_texts(values)
        if not is_numeric(values.type) and str(values.type) not in ("bool", "null"):
            raise DataError(
                f"{origin}: column {column.name!r} should be numbers and holds {values.type}, "
                f"first value {values[0].as_py()!r}"
            )
        if not single:
            return _known(column, torch.from_numpy(floats(values)))
        with warnings.catch_warnings():  # torch warns of memory that is not to be written to
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(np.asarray(values.to_numpy(), dtype=np.float32))
    known: list[Any] = list(column.categories)
    if codes and column.coded and is_numeric(values.type):
        known = list(range(len(known)))
    elif column.type == "string" and str(values.type).startswith(("int", "uint")):
        values = values.cast(column.type)  # a file may hold no code that has a zero in front
    code_of = {category: float(k) for k, category in enumerate(known)}
    distinct = {value: code_of.get(value, -1.0) for value in values.unique().to_pylist()}
    distinct[None] = code_of.get(None, math.nan)
    unknown = [value for value, code in distinct.items() if code < 0]
    if unknown:
        text = (
            f"{origin}: column {column.name!r} has categories that were not in training: "
            f"{', '.join(map(repr, unknown[:5]))}; known: "
            f"{', '.join(map(repr, known[:20]))}"
        )
        if column.cells is None:
            raise DataError(text)
        warnings.warn(f"{text}. Their rows have the log-density -inf", UserWarning, stacklevel=2)
    return torch.tensor([distinct[value] for value in values.to_pylist()], dtype=torch.float64)


def _known(column: Column, x: Tensor) -> Tensor:
    """Return values ``(n,)``, with a warning of those that a list of values lacks."""
    if column.finite:
        odd = x[~column.cells.at(x)[1] & torch.isfinite(x)]  # type: ignore[union-attr]
        if len(odd):
            few = ", ".join(f"{value:g}" for value in odd.unique().tolist()[:5])
            warnings.warn(
                f"column {column.name!r} has values that were not in training: {few} "
                f"({column.words()}). Their rows have the log-density -inf",
                UserWarning,
                stacklevel=2,
            )
    return x


def _of_texts(values: Any) -> Any:
    """Return texts as numbers, null where they are not."""
    import pyarrow

    cells = (cell if cell is not None and is_number(cell) else None for cell in values.to_pylist())
    return pyarrow.chunked_array([[None if cell is None else float(cell) for cell in cells]],
                                 pyarrow.float64())  # fmt: skip


def _categorical(name: str, categories: tuple[Category, ...], dtype: Any) -> Column:
    import pyarrow.types

    if pyarrow.types.is_dictionary(dtype):
        dtype = dtype.value_type
    kind = "string" if is_text(dtype) else str(dtype)
    bounds = (-0.5, len(categories) - 0.5)
    return Column(name, "categorical", bounds, 1.0, 0.0, categories, kind)


def _row_number(column: Column, values: Any) -> Derived:
    first = float(values[len(values) - 1].as_py()) + 1
    return Derived(column, "counts the rows", intercept=first, step=1.0)


def _categories(name: str, values: Any, origin: str) -> tuple[Category, ...]:
    """Return the categories that occur, in a dictionary's order or sorted."""
    import pyarrow.types

    used = set(values.unique().to_pylist()) - {None}
    if pyarrow.types.is_dictionary(values.type):
        order = (
            values.unify_dictionaries().combine_chunks().dictionary.to_pylist()
            if len(values.chunks)
            else []
        )
        categories = [value for value in order if value in used]
    else:
        categories = sorted(used)
    if len(categories) > CATEGORIES:
        raise _refused(
            name, f"has {len(categories)} distinct values, too many for categories", origin
        )
    return tuple(categories)


def _check_integers(name: str, values: Any, origin: str) -> None:
    x = floats(values)
    bad = np.isfinite(x) & (x != np.round(x))
    if bad.any():
        raise _refused(
            name, f"holds {x[bad][0]:g}, which is not an integer", origin, ', or kind "continuous"'
        )


def _refused(name: str, why: str, origin: str, also: str = "") -> DataError:
    return DataError(
        f"{origin}: column {name!r} {why}; leave it out (name the others in `columns`){also}"
    )
