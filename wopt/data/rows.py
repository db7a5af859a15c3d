"""Rows to evaluate: tensors, arrays, or frames whose columns are found by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.frames import as_table, is_frame
from wopt.data.kinds import numbers_of
from wopt.data.missing import completed
from wopt.errors import DataError
from wopt.registry import close_matches

__all__ = ["as_rows", "matched"]


def as_rows(
    x: Any,
    names: Sequence[str] = (),
    conditions: Any = None,
    condition: int = 0,
    columns: Columns | None = None,
) -> Tensor:
    """Return rows as a tensor, shape ``(..., d)``; a table's columns are found by name.

    Args:
        x: A tensor, an array-like object, or a table. A tensor keeps its dtype, device and
            gradient; other objects become float64.
        names: The columns to take from a table, in order.
        conditions: The last columns, if they are given separately; broadcast against the others.
        condition: Number of conditions.
        columns: Descriptions of the columns, by which a table's categories become codes.

    Raises:
        DataError: A column is missing, widths disagree, values are not numbers, or a category is
            unknown.

    Example:
        >>> as_rows([[1.0], [2.0]], conditions=[3.0], condition=1).tolist()
        [[1.0, 3.0], [2.0, 3.0]]
    """
    if conditions is None:
        return _numbers(x, names, columns)
    if not condition:
        raise DataError("this model has no conditions; leave them out")
    moved = _numbers(x, names[: len(names) - condition], columns)
    given = _numbers(conditions, names[len(names) - condition :], columns).to(moved)
    if given.ndim == 0 or moved.ndim == 0 or given.shape[-1] != condition:
        raise DataError(
            f"conditions have shape (..., c) with c = {condition}, got {tuple(given.shape)}"
        )
    try:
        batch = torch.broadcast_shapes(moved.shape[:-1], given.shape[:-1])
    except RuntimeError:
        raise DataError(
            f"rows of shape {tuple(moved.shape)} and conditions of shape {tuple(given.shape)} "
            "cannot be broadcast: all axes but the last must agree or be one"
        ) from None
    return torch.cat([moved.expand(*batch, -1), given.expand(*batch, -1)], dim=-1)


def matched(table: Any, columns: Columns, *, named: bool, origin: str) -> Tensor:
    """Return the columns of a model from an Arrow table, as numbers ``(n, d)``, found by name.

    A model of an array has generated names (``x0``, ...; ``c0``, ... of conditions). If a table has
    none of these, the columns that match no other name of the model take their place, in order, if
    they are as many.

    Args:
        table: The table; other columns in it are ignored where names are found.
        columns: Descriptions of the columns of the model.
        named: Whether the table's names are its own; if not, all are taken by position.
        origin: The table's file, for messages.

    Raises:
        DataError: Columns are missing, or it is not clear which they are; or a value cannot be
            used.

    Example:
        >>> import pyarrow
        >>> table = pyarrow.table({"b": [3.0], "note": ["-"], "a": [4.0]})
        >>> matched(table, Columns.on_the_line(["a", "b"]), named=True, origin="t.csv").tolist()
        [[4.0, 3.0]]
        >>> two = table.select(["b", "a"])
        >>> matched(two, Columns.on_the_line(["x0", "x1"]), named=True, origin="t.csv").tolist()
        [[3.0, 4.0]]
    """
    shown = [c for c in columns.columns if not c.mask or c.name in table.column_names]
    known, names = table.column_names, [column.name for column in shown]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise DataError(f"{origin}: several columns are named {', '.join(twice)}; rename them")
    own = [name for name in names if named and (name in known or not _MADE_UP.fullmatch(name))]
    if missing := [name for name in own if name not in known]:
        raise DataError(
            f"{origin}: has no column(s) {', '.join(missing)}, and the model's columns are "
            f"{', '.join(names[:20])}; its own are {', '.join(known[:20])}"
            f"{close_matches(missing[0], known)}: rename them, or give rows without names"
        )
    rest = [name for name in known if name not in own]
    wanted = [name for name in names if name not in own]
    if wanted and (len(rest) != len(wanted) or any(_MADE_UP.fullmatch(name) for name in own)):
        raise DataError(
            f"{origin}: has {len(known)} columns ({', '.join(known[:8])}), and it is not clear "
            f"which of them are {', '.join(wanted[:8])} of the model, which needs {len(names)}: "
            "give these alone, or under these names"
        )
    place = dict(zip(wanted, rest, strict=True)) if wanted else {}
    cells = (table.column(place.get(name, name)) for name in names)
    pairs = zip(shown, cells, strict=True)
    rows = torch.stack(
        [numbers_of(column, values, origin, codes=not named) for column, values in pairs], dim=1
    )
    return completed(columns, rows)


_MADE_UP = re.compile(r"[xc]\d+")
"""Generated names of columns."""


def _numbers(x: Any, names: Sequence[str], columns: Columns | None) -> Tensor:
    wanted = Columns.on_the_line(names) if columns is None else columns.pick(names)
    if isinstance(x, Tensor):
        return completed(wanted, x) if x.ndim else x
    if is_frame(x) and names:
        return matched(as_table(x), wanted, named=True, origin="the table")
    try:
        rows = torch.as_tensor(np.asarray(x, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"rows are numbers of one shape, and these are not: {error}") from None
    return completed(wanted, rows) if rows.ndim else rows
