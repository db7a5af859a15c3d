"""Missing values of conditions: they are replaced by a number, and a mask marks them.

A condition needs no density, so a missing one can be any number if a mask marks it: the model
learns the law given that the value is missing. In a modelled column a number that replaces all
missing values would be an atom, which no flow can have.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection

import torch
from torch import Tensor

from wopt.data.columns import Column, Columns
from wopt.errors import DataError

__all__ = ["completed", "masked"]


def masked(
    columns: Columns, x: Tensor, taken: Collection[str], origin: str
) -> tuple[Columns, Tensor]:
    """Return columns with a mask for each incomplete condition, and complete rows, ``(n, d')``.

    A missing value is replaced by the median, or by the most frequent category.

    Args:
        columns: Descriptions of the columns, conditions last.
        x: Rows, shape ``(n, d)``, NaN where a value is missing.
        taken: Names that a mask must not have.
        origin: The file, for messages.

    Raises:
        DataError: A modelled column has missing values, or a condition has only missing values.

    Example:
        >>> x = torch.tensor([[1.0, 5.0], [2.0, torch.nan], [3.0, 7.0]]).double()
        >>> columns, rows = masked(Columns((Column("y"), Column("age")), 1), x, (), "x.csv")
        >>> columns.names, columns.condition, rows[1].tolist()
        (('y', 'age', 'age_missing'), 2, [2.0, 5.0, 1.0])
    """
    missing = ~torch.isfinite(x)
    moved = len(columns.columns) - columns.condition
    wrong = [columns.names[j] for j in range(moved) if missing[:, j].any()]
    if wrong:
        raise DataError(
            f"{origin}: column(s) {', '.join(wrong)} have missing values and are modelled: a value "
            'that replaces them would be an atom, which has no density. nan = "mask" is for '
            f"conditions: make them conditions (`context = {json.dumps(wrong)}`), leave them out "
            '(name the others in `columns`), or drop these rows (`nan = "drop"`)'
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
    made = Columns((*whole, *masks), columns.condition + len(masks))
    return made, completed(made, x)


def completed(columns: Columns, x: Tensor) -> Tensor:
    """Return rows with missing conditions filled in, followed by the masks, ``(..., d)``.

    Args:
        columns: Descriptions of the columns, masks last.
        x: Rows, shape ``(..., k)``; k is the number of columns that are not masks, or of all
            columns, if the rows have their masks already.
    """
    shown = columns.shown
    if len(shown) == len(columns.columns) or x.shape[-1] not in (len(shown), len(columns.columns)):
        return x
    rows = x.clone()
    missing = ~torch.isfinite(x)
    for j, column in enumerate(shown):
        if column.fill is not None:
            rows[..., j] = torch.where(missing[..., j], column.fill, rows[..., j])
    if x.shape[-1] == len(columns.columns):
        return rows
    index = {column.name: j for j, column in enumerate(shown)}
    masks = [missing[..., index[c.mask]] for c in columns.columns if c.mask]
    return torch.cat([rows, torch.stack(masks, -1).to(rows)], -1)


def _middle(column: Column, values: Tensor) -> float:
    if column.kind == "categorical":
        return float(values.mode().values)
    return float(values.sort().values[(len(values) - 1) // 2])  # one of the values
