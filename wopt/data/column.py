"""Column: what a column of a table is, and the map from its values to the whole line."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.cells import Cells, CellTransform
from wopt.data.quantile_transform import Interval, QuantileTransform

__all__ = ["Category", "Column", "Kind", "as_json", "check_column"]


def check_column(column: Column) -> None:
    """Raise unless a column that a file describes is valid.

    Raises:
        ValueError: The column is invalid; the message says why.

    Example:
        >>> from wopt.data.column import Column
        >>> check_column(Column("age", bounds=(1.0, 0.0)))
        Traceback (most recent call last):
        ValueError: column 'age' has no `ends` (low, high)
    """
    if not column.bounds[0] < column.bounds[1]:
        raise ValueError(f"column {column.name!r} has no `ends` (low, high)")
    numbers = (column.width, column.origin, column.fill or 0.0)
    if not all(map(math.isfinite, numbers)) or column.width < 0:
        raise ValueError(f"column {column.name!r}: `width`, `origin` or `fill` is not finite")
    if column.kind != "continuous" and not column.width:
        raise ValueError(f"column {column.name!r} is {column.kind} and has no `width`")
    if not column.scale > 0:
        raise ValueError(f"column {column.name!r}: `scale` is not positive")
    _check_categories(column)
    if column.curve is not None:
        _check_curve(column.name, column.curve)
    if column.cells is not None:
        _check_cells(column.name, column.cells)


def _check_cells(name: str, cells: Cells) -> None:
    values, numbers = cells.values, (*cells.values, cells.width, cells.mean, cells.scale)
    if not values or len(values) != len(cells.masses) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"column {name!r}: its cells are not as many finite values as masses")
    # Cells may touch, within rounding.
    room = all(b - a >= cells.width * (1 - 1e-6) for a, b in pairwise(values))
    whole = math.fsum(cells.masses)
    if not room or cells.width <= 0 or cells.scale < 0 or not min(cells.masses) > 0:
        raise ValueError(f"column {name!r}: its cells overlap or have no mass")
    if whole > 1 + 1e-9 or (whole < 1 - 1e-9) == (cells.scale == 0):
        raise ValueError(f"column {name!r}: the masses of its cells do not sum as they should")


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


Kind = Literal["continuous", "integer", "categorical"]
Category = str | bool | int | float | None


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table, as numbers.

    A value of a discrete column (``integer``, ``categorical``) stands for the cell of width
    ``width`` around it, over which uniform noise spreads it; rounding gives it back.

    Attributes:
        name: Name of the column.
        kind: ``continuous``; ``integer``, values on a grid; ``categorical``, codes 0, 1, ... of
            :attr:`categories`.
        bounds: The least and the greatest value of the support, infinite where it has no end.
        width: Width of the uniform noise, which is the grid's spacing; 0 for none.
        origin: A point of the grid.
        categories: The category of each code.
        type: Arrow type in which values are written.
        fill: The number that stands for a missing value: of a condition with a mask, or in a cell
            of its own.
        mask: Name of the condition whose missing values this column marks; empty for other columns.
        curve: Map that makes the column's law on the line nearly normal, or ``None``.
        scale: Distance to the only end of the support beyond which the map to the line is nearly
            linear; below it is nearly a logarithm.
        cells: Values with a probability each, beside the density if there is one, or ``None``.
        unit: Units of the type in one of the column's numbers, such as nanoseconds in a day.
    """

    name: str
    kind: Kind = "continuous"
    bounds: Annotated[tuple[float, float], Field(validation_alias="ends")] = (-math.inf, math.inf)
    width: float = 0.0
    origin: float = 0.0
    categories: tuple[Category, ...] = ()
    type: str = "double"
    fill: float | None = None
    mask: str = ""
    curve: QuantileTransform | None = None
    scale: float = math.inf
    cells: Cells | None = None
    unit: int = 1

    @property
    def discrete(self) -> bool:
        """Whether samples are rounded to values that the data can have."""
        return self.kind != "continuous" or self.cells is not None

    @property
    def later(self) -> bool:
        """Whether a flow's file of format 5 cannot describe it."""
        return self.cells is not None or self.unit != 1 or math.isfinite(self.scale)

    @property
    def finite(self) -> bool:
        """Whether its values are few and known."""
        return self.kind == "categorical" or (self.cells is not None and not self.cells.rest)

    @property
    def coded(self) -> bool:
        """Whether its values are texts, which are represented by codes."""
        return any(isinstance(category, str) for category in self.categories)

    @property
    def bounded(self) -> bool:
        """Whether its support has an end."""
        return self.bounds != (-math.inf, math.inf)

    @property
    def maps(self) -> list[Bijection]:
        """Its maps to the whole line: those of its support and its cells, then its curve."""
        ends = (*self.bounds, self.scale) if self.bounded else None
        if self.cells is not None:
            first: list[Bijection] = [CellTransform(self.cells, ends, self.fill)]
        else:
            first = [] if ends is None else [Interval(*ends)]
        return first if self.curve is None else [*first, self.curve]

    @property
    def bent(self) -> bool:
        """Whether its map to the line is not the identity."""
        return self.bounded or self.curve is not None or self.cells is not None

    @property
    def plain(self) -> bool:
        """Whether it is numbers on the whole line, which are left as they are."""
        return not (self.discrete or self.bent or self.width or self.mask)

    def words(self) -> str:
        """Return a description for people.

        Example:
            >>> Column("age", "integer", (-0.5, 120.5), 1.0).words()
            'age: integer in [0, 120]'
        """
        if self.mask:
            return f"{self.name}: whether {self.mask} is missing"
        if self.kind == "categorical":
            few = ", ".join(str(c) for c in self.categories[:4])
            more = ", ..." if len(self.categories) > 4 else ""
            return f"{self.name}: {len(self.categories)} categories ({few}{more})"
        gaps = "" if self.cells is None or self.fill is None else ", with gaps"
        values = [] if self.cells is None else [v for v in self.cells.values if v != self.fill]
        few = ", ".join(f"{value:g}" for value in values[:4]) + (", ..." if values[4:] else "")
        if self.finite:
            return f"{self.name}: {len(values)} values ({few}){gaps}"
        half = self.width / 2 if self.kind != "continuous" else 0.0
        low, high = self.bounds[0] + half, self.bounds[1] - half
        ends = f" in [{low:g}, {high:g}]" if self.bounded else ""
        return f"{self.name}: {self.kind}{ends}" + (f", often {few}" if values else "") + gaps

    def round(self, x: Tensor) -> Tensor:
        """Return the nearest possible values, of the shape of x."""
        y = x.clamp(*self.bounds)
        if self.kind != "continuous":
            low, high = (end / self.width for end in self.bounds)
            origin = self.origin / self.width
            # An end itself belongs to the cell inside of it.
            cells = (x / self.width - origin).round()
            cells = cells.clamp(min=low - origin + 0.5, max=high - origin - 0.5)
            y = self.origin + self.width * cells
        if self.cells is not None:
            k, inside = self.cells.at(x)
            values = x.new_tensor(self.cells.values)[k]
            y = values if self.finite else torch.where(inside, values, y)
        return y

    def noise(self, x: Tensor) -> Tensor:
        """Return the width of the cell around each value, of the shape of x; 0 for none."""
        width = torch.full_like(x, self.width)
        if self.cells is None:
            return width
        return torch.where(self.cells.at(x)[1], self.cells.width, width)


_LATER = {"curve": None, "scale": math.inf, "cells": None, "unit": 1}
"""Fields that earlier versions do not know, with the values that they had."""


def as_json(column: Column) -> dict[str, Any]:
    """Return the table that describes a column in a file."""
    row = dataclasses.asdict(column)
    row["ends"] = row.pop("bounds")
    return {
        name: value for name, value in row.items() if _LATER.get(name, _LATER) != value
    }  # so that earlier versions read it
