"""What the columns of a table are, found from their values."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.data.cells import Cells
from wopt.data.choices import Choices
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.derived import Derived
from wopt.data.kinds import column_support
from wopt.data.supports import described
from wopt.errors import DataError

__all__ = ["blame", "described_columns"]


def described_columns(
    columns: Columns, x: Tensor, left: tuple[Derived, ...], choices: Choices, origin: str
) -> tuple[Columns, Tensor]:
    """Return the columns as their values show them, and the rows, gaps filled, ``(n, d')``.

    Constants are left out. A kind or a support that was asked for is kept.

    Args:
        columns: Descriptions by types, conditions last.
        x: Rows, shape ``(n, d)``, NaN where a value is missing.
        left: Columns that are left out already.
        choices: What was asked for.
        origin: The file, for messages.

    Raises:
        DataError: A value lies outside of the support that was asked for.
    """
    made, kept = list[Column](), list[int]()
    derived = list(left)
    rows = x
    for j, column in enumerate(columns.columns):
        moved = j < len(columns.columns) - columns.condition
        column = _asked(column, x[:, j], choices, moved, origin)
        values = x[:, j].double()
        if moved and choices.columns is None and _constant(values):
            derived.append(Derived(column, "does not vary", intercept=float(values[0])))
            continue
        if moved:
            column = _of_values(column, values, choices)
        if column.fill is not None:
            rows = _double(rows, x)
            rows[:, j] = torch.where(values.isnan(), column.fill, values)
        elif column.cells is not None and column.kind != "categorical":
            rows = _double(rows, x)
        made.append(column)
        kept.append(j)
    if len(made) == columns.condition:
        raise DataError(
            f"{origin}: no column varies, so none is left to be modelled; give other rows"
        )
    new = Columns(tuple(made), columns.condition, tuple(derived), columns.order)
    return new, rows if len(kept) == x.shape[1] else rows[:, kept]


def blame(missing: Tensor, names: tuple[str, ...]) -> str:
    """Return which column costs the most rows.

    Args:
        missing: Whether a value is missing, shape ``(n, d)``.
        names: Names of the columns.

    Example:
        >>> blame(torch.tensor([[True, False], [True, False], [False, True]]), ("a", "b"))
        'without `a` 67 % of the rows are complete, with it 0 %'
    """
    gaps = missing.sum(1)
    now = float((gaps == 0).double().mean())
    alone = ((gaps[:, None] - missing.long()) == 0).double().mean(0)
    j = int(alone.argmax())
    return (
        f"without `{names[j]}` {float(alone[j]):.0%} of the rows are complete, with it {now:.0%}"
    ).replace("%", " %")


def _double(rows: Tensor, x: Tensor) -> Tensor:
    """Return rows that can be written to, in double precision."""
    return x.double().clone() if rows is x else rows


def _constant(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def _asked(column: Column, x: Tensor, choices: Choices, moved: bool, origin: str) -> Column:
    """Return a column with the support that was asked for."""
    wishes = choices.support or {}
    wish = wishes.get(column.name, wishes.get("*"))
    if column.name in wishes and (column.kind == "categorical" or not moved):
        what = "categorical" if moved else "a condition"
        raise DataError(f"{origin}: support: {column.name!r} is {what} and has none; leave it out")
    if wish is None or not moved or column.kind == "categorical":
        return column
    bounds = column_support(column.name, x, column, wish, origin)
    return dataclasses.replace(column, bounds=bounds)


def _of_values(column: Column, x: Tensor, choices: Choices) -> Column:
    """Return a column with cells, a grid and an end, where its values show them."""
    known = x[~x.isnan()]
    missing = (len(x) - len(known)) * (choices.nan == "model")
    if column.kind == "categorical":
        return _categories(column, known, missing)
    asked = column.name in (choices.kinds or {}) or column.name in (choices.support or {})
    plain = asked or bool(choices.dequantise) or not bool(torch.isfinite(known).all())
    if not missing and (plain or _constant(known)):
        return column
    return described(column, known, missing, plain=plain)


def _categories(column: Column, codes: Tensor, missing: int) -> Column:
    """Return categories with their probabilities; that a value is missing is one of them."""
    counts = torch.bincount(codes.long(), minlength=len(column.categories)).double()
    categories, fill = column.categories, None
    if missing:
        categories, fill = (*categories, None), float(len(categories))
        counts = torch.cat([counts, counts.new_tensor([missing])])
    masses = (counts + 0.5) / (counts + 0.5).sum()
    places = tuple(float(k) for k in range(len(categories)))
    cells = Cells(places, tuple(masses.tolist()), 1.0, 0.0, 0.0)
    return dataclasses.replace(
        column, categories=categories, bounds=(-0.5, len(categories) - 0.5), cells=cells, fill=fill
    )
