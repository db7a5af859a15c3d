"""Rows to be scored: tensors, arrays and frames, with conditions that may be missing.

A condition needs no density, so a missing one can be any number if a mask marks it: the model
learns the law given that the value is missing. In a modelled column a number that replaces all
missing values would be an atom, which no flow can have.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.frames import as_table, is_frame
from wopt.data.kinds import numbers_of
from wopt.errors import DataError
from wopt.registry import close_matches


def masked(
    columns: Columns, x: Tensor, taken: Collection[str], origin: str
) -> tuple[Columns, Tensor]:
    """Return columns with a mask for each incomplete condition, and complete rows, ``(n, d')``.

    A missing value is replaced by the median, or by the most frequent category.

    Args:
        columns: Descriptions of the columns, conditions last.
        x: Rows, shape ``(n, d)``, NaN where a value is missing.

    Example:
        >>> x = torch.tensor([[1.0, 5.0], [2.0, torch.nan], [3.0, 7.0]]).double()
        >>> columns, rows = masked(Columns((Column("y"), Column("age")), 1), x, (), "x.csv")
        >>> columns.names, columns.condition, rows[1].tolist()
        (('y', 'age', 'age_missing'), 2, [2.0, 5.0, 1.0])
    """
    missing = ~torch.isfinite(x)
    moved = len(columns.columns) - columns.condition
    wrong = [columns.names[j] for j in range(moved) if x[:, j].isnan().any()]
    if wrong:
        raise DataError(
            f"{origin}: column(s) {', '.join(wrong)} have missing values and are modelled: a value "
            'that replaces them would be an atom, which has no density. nan = "mask" is for '
            f"conditions: make them conditions (`context = {json.dumps(wrong)}`), leave them out "
            '(name the others in `columns`), or drop these rows (`source.nan = "drop"`)'
        )
    whole = list(columns.columns)
    masks = []
    for j in range(moved, len(whole)):
        if missing[:, j].any():
            if missing[:, j].all():
                raise DataError(f"{origin}: condition {whole[j].name!r} has no value; leave it out")
            name = f"{whole[j].name}_missing"
            while name in taken:
                name += "_"
            masks.append(Column(name, mask=whole[j].name))
            whole[j] = dataclasses.replace(whole[j], fill=_middle(whole[j], x[~missing[:, j], j]))
    made = dataclasses.replace(
        columns, columns=(*whole, *masks), condition=columns.condition + len(masks)
    )
    return made, completed(made, x)


def completed(columns: Columns, x: Tensor) -> Tensor:
    """Return rows with missing conditions filled in, followed by the masks, ``(..., d)``.

    Args:
        columns: Descriptions of the columns, masks last.
        x: Rows, shape ``(..., k)``; k is the number of columns that are not masks, or of all
            columns, if the rows have their masks already.
    """
    shown = columns.shown
    fills = [(j, column.fill) for j, column in enumerate(shown) if column.fill is not None]
    if not fills or x.shape[-1] not in (len(shown), len(columns.columns)):
        return x
    rows = x.clone()
    missing = ~torch.isfinite(x)
    for j, fill in fills:
        rows[..., j] = torch.where(missing[..., j], fill, rows[..., j])
    if x.shape[-1] == len(columns.columns):
        return rows
    index = {column.name: j for j, column in enumerate(shown)}
    masks = [missing[..., index[c.mask]] for c in columns.columns if c.mask]
    return torch.cat([rows, torch.stack(masks, -1).to(rows)], -1)


def _middle(column: Column, values: Tensor) -> float:
    if column.kind == "categorical":
        return float(values.mode().values)
    return float(values.sort().values[(len(values) - 1) // 2])  # one of the values


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
        columns: Descriptions of the columns, by which a table's categories become codes.

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

    Example:
        >>> import pyarrow
        >>> table = pyarrow.table({"b": [3.0], "note": ["-"], "a": [4.0]})
        >>> matched(table, Columns.on_the_line(["a", "b"]), named=True, origin="t.csv").tolist()
        [[4.0, 3.0]]
        >>> two = table.select(["b", "a"])
        >>> matched(two, Columns.on_the_line(["x0", "x1"]), named=True, origin="t.csv").tolist()
        [[3.0, 4.0]]
    """
    by_place = not named and table.num_columns == len(columns.of_table)
    if by_place:
        table = table.rename_columns(list(columns.of_table))
    shown = [c for c in columns.columns if not c.mask or c.name in table.column_names]
    known, names = table.column_names, [column.name for column in shown]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise DataError(f"{origin}: several columns are named {', '.join(twice)}; rename them")
    ours = named or by_place
    own = [name for name in names if ours and (name in known or not _MADE_UP.fullmatch(name))]
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
