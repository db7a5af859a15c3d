"""Rows to be scored: tensors, arrays, frames whose columns are found by name."""

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
from wopt.data.tables import pick_columns
from wopt.errors import DataError
from wopt.registry import close_matches

__all__ = ["as_rows", "matched", "names_of"]


def names_of(x: Any) -> tuple[str, ...] | None:
    """Return the column names of a table (pandas, polars), or ``None`` of what has none.

    Example:
        >>> names_of(torch.zeros(2, 2)) is None
        True
    """
    columns = getattr(x, "columns", None)
    return None if columns is None else tuple(str(name) for name in columns)


def as_rows(
    x: Any,
    names: Sequence[str] = (),
    conditions: Any = None,
    condition: int = 0,
    columns: Columns | None = None,
) -> Tensor:
    """Return rows as a tensor; a table's columns are found by name.

    Args:
        x: A tensor, what numpy can make an array of, or a table. A tensor keeps its dtype, device
            and gradient; all else becomes float64.
        names: The columns wanted, in their order; of tables only.
        conditions: The last columns, if they are given apart; broadcast against the others.
        condition: How many these are.
        columns: What the columns are, for tables: categories become codes.

    Raises:
        DataError: A column is missing, the widths disagree, these are no numbers, or a category is
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
    """Return the columns of an Arrow table that a model has, as numbers, found by name.

    Columns are taken by position where the table or the model has made-up names (``x0``, ...).

    Args:
        table: The table; other columns in it are ignored.
        columns: The wanted ones.
        named: Whether the table's names are its own.
        origin: The table's file, for messages.

    Raises:
        DataError: Names disagree or columns are missing; or a value cannot be used.

    Example:
        >>> import pyarrow
        >>> table = pyarrow.table({"b": [3.0], "note": ["-"], "a": [4.0]})
        >>> matched(table, Columns.on_the_line(["a", "b"]), named=True, origin="t.csv").tolist()
        [[4.0, 3.0]]
    """
    shown = [c for c in columns.columns if not c.mask or c.name in table.column_names]
    known, names = table.column_names, [column.name for column in shown]
    missing = [name for name in names if name not in known]
    made_up = all(re.fullmatch(r"[xc]\d+", name) for name in names)
    if missing and named and not made_up:
        raise DataError(
            f"{origin}: has no column(s) {', '.join(missing)}, and the model's columns are "
            f"{', '.join(names[:20])}; its own are {', '.join(known[:20])}"
            f"{close_matches(missing[0], known)}: rename them, or give a file without names"
        )
    if not missing and named:
        chosen = [table.column(name) for name in names]
    elif table.num_columns == len(names):
        chosen = table.columns
    else:
        raise DataError(
            f"{origin}: has {table.num_columns} columns ({', '.join(known[:8])}), and the model "
            f"needs {len(names)}: {', '.join(names[:8])}"
        )
    pairs = zip(shown, chosen, strict=True)
    rows = torch.stack(
        [numbers_of(column, values, origin, codes=not named) for column, values in pairs], dim=1
    )
    return completed(columns, rows)


def _numbers(x: Any, names: Sequence[str], columns: Columns | None) -> Tensor:
    wanted = Columns.on_the_line(names) if columns is None else columns.pick(names)
    if isinstance(x, Tensor):
        return completed(wanted, x) if x.ndim else x
    if is_frame(x) and names:
        table = as_table(x)
        seen = [c.name for c in wanted.columns if not c.mask or c.name in table.column_names]
        pick_columns(table.column_names, seen, "the table")
        return matched(table, wanted, named=True, origin="the table")
    try:
        rows = torch.as_tensor(np.asarray(x, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"rows are numbers of one shape, and these are not: {error}") from None
    return completed(wanted, rows) if rows.ndim else rows
