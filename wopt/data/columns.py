"""Columns: what each column of a table is, and the map from its values to the whole line."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.quantile_transform import Interval, QuantileTransform
from wopt.reading import parsed_json
from wopt.typed import of_json

__all__ = ["Category", "Column", "Columns", "Kind", "check_column"]


def check_column(column: Column) -> None:
    """Raise unless a column that a file describes is valid.

    Raises:
        ValueError: The column is invalid; the message says why.

    Example:
        >>> from wopt.data.columns import Column
        >>> check_column(Column("age", bounds=(1.0, 0.0)))
        Traceback (most recent call last):
        ValueError: column 'age' has no `ends` (low, high)
    """
    if not column.bounds[0] < column.bounds[1]:
        raise ValueError(f"column {column.name!r} has no `ends` (low, high)")
    numbers = (column.width, column.origin, column.fill or 0.0)
    if not all(map(math.isfinite, numbers)) or column.width < 0:
        raise ValueError(f"column {column.name!r}: `width`, `origin` or `fill` is not finite")
    if column.discrete and not column.width:
        raise ValueError(f"column {column.name!r} is {column.kind} and has no `width`")
    _check_categories(column)
    if column.curve is not None:
        _check_curve(column.name, column.curve)


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


Map = Callable[[Tensor], tuple[Tensor, Tensor]]
Kind = Literal["continuous", "integer", "categorical"]
Category = str | bool | int | float


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
        fill: The number that replaces a missing value of a condition with a mask.
        mask: Name of the condition whose missing values this column marks; empty for other columns.
        curve: Map that makes the column's law on the line nearly normal, or ``None``.
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

    @property
    def discrete(self) -> bool:
        """Whether samples are rounded to values that the data can have."""
        return self.kind != "continuous"

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
        """Its maps to the whole line: that of its support, then its curve."""
        support: list[Bijection] = [Interval(*self.bounds)] if self.bounded else []
        return support if self.curve is None else [*support, self.curve]

    @property
    def bent(self) -> bool:
        """Whether its map to the line is not the identity."""
        return self.bounded or self.curve is not None

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
        half = self.width / 2 if self.discrete else 0.0
        low, high = self.bounds[0] + half, self.bounds[1] - half
        return f"{self.name}: {self.kind}" + (f" in [{low:g}, {high:g}]" if self.bounded else "")


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a model, and the map E of their values to R^d, column by column.

        E(x) = log (x - a) on (a, oo),   log ((x - a) / (b - x)) on (a, b),   x on the line,

    so that no sample leaves a support; after it a column's curve, if it has one. Conditions, the
    last columns, are not mapped. Rows are numbers here, float64: categories are codes.

    Attributes:
        columns: The columns, conditions last.
        condition: Number of conditions.

    Example:
        >>> columns = Columns((Column("p", bounds=(0.0, 1.0)), Column("x")))
        >>> x = torch.tensor([[0.2, 7.0]], dtype=torch.float64)
        >>> columns.inverse(columns.encode(x))[0].tolist()
        [[0.2, 7.0]]
        >>> round(float(columns.forward(x)[1]), 4)  # log 1 / (p (1 - p))
        1.8326
    """

    columns: tuple[Column, ...]
    condition: int = 0

    @classmethod
    def on_the_line(cls, names: Sequence[str], condition: int = 0) -> Columns:
        """Return columns of numbers on the whole line."""
        return cls(tuple(Column(name) for name in names), condition)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def moved(self) -> tuple[Column, ...]:
        """The columns that are modelled, without the conditions."""
        return self.columns[: len(self.columns) - self.condition]

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns of the table itself: all but the masks, which are the last ones."""
        return tuple(column for column in self.columns if not column.mask)

    @property
    def plain(self) -> bool:
        """Whether all columns are left as they are."""
        return all(column.plain for column in self.columns)

    @property
    def discrete(self) -> bool:
        """Whether a modelled column is discrete, so that densities stand for masses."""
        return any(column.discrete for column in self.moved)

    @property
    def curves(self) -> int:
        """Number of columns with a curve."""
        return sum(column.curve is not None for column in self.columns)

    def straight(self) -> Columns:
        """Return the columns without curves."""
        columns = tuple(dataclasses.replace(column, curve=None) for column in self.columns)
        return dataclasses.replace(self, columns=columns)

    def pick(self, names: Sequence[str]) -> Columns:
        """Return the named columns, none a condition."""
        by_name = {column.name: column for column in self.columns}
        return Columns(tuple(by_name[name] for name in names))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E(x), shape ``(..., d)``, and log |det DE(x)|, ``(...)``, nats.

        E is finite also at and beyond the ends of a support, where log |det| is minus infinity.
        """
        return self._through(x, lambda column: column.maps)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return E^-1(y), shape ``(..., d)``, discrete columns not rounded, and log |det|."""
        return self._through(y, lambda column: [m.inverse for m in reversed(column.maps)])

    def encode(self, x: Tensor) -> Tensor:
        """Return E(x), shape ``(..., d)``."""
        return self.forward(x)[0]

    def _through(self, x: Tensor, maps: Callable[[Column], Sequence[Map]]) -> tuple[Tensor, Tensor]:
        y, total = x.clone(), torch.zeros_like(x[..., 0])
        for j, column in enumerate(self.moved):
            for move in maps(column):
                y[..., j], log_slope = move(y[..., j].contiguous())
                total = total + log_slope
        return y, total

    def round(self, x: Tensor) -> Tensor:
        """Return rows, shape ``(..., d)``, with discrete columns rounded to possible values."""
        y = x.clone()
        for j, column in enumerate(self.columns[: x.shape[-1]]):
            if column.discrete:
                low, high = (end / column.width for end in column.bounds)
                origin = column.origin / column.width
                cells = (x[..., j] / column.width - origin).round()
                # An end itself belongs to the cell inside of it.
                cells = cells.clamp(min=low - origin + 0.5, max=high - origin - 0.5)
                y[..., j] = column.origin + column.width * cells
        return y

    def jitter(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return rows, shape ``(..., d)``, with noise U(-w/2, w/2) in columns of width w."""
        moved = self.moved
        if not any(column.width for column in moved):
            return x
        drawn = torch.rand(*x.shape[:-1], len(moved), generator=rng, dtype=x.dtype)
        widths = torch.tensor([column.width for column in moved], dtype=x.dtype)
        spread = widths * (drawn - 0.5)
        return torch.cat([x[..., : len(moved)] + spread.to(x), x[..., len(moved) :]], dim=-1)

    def to_json(self) -> str:
        """Return JSON text for :meth:`from_json`."""
        rows = [dataclasses.asdict(column) for column in self.columns]
        for row in rows:
            row["ends"] = row.pop("bounds")
            if row["curve"] is None:  # so that earlier versions read it
                del row["curve"]
        return json.dumps({"columns": rows, "condition": self.condition})

    @classmethod
    def from_json(cls, text: str) -> Columns:
        """Return the columns that :meth:`to_json` described.

        Raises:
            ValueError: The text does not describe columns.
        """
        made = of_json(cls, parsed_json(text))
        for column in made.columns:
            check_column(column)
        if len(set(made.names)) < len(made.names) or not 0 <= made.condition < len(made.columns):
            raise ValueError("columns have the same name, or all are conditions")
        return made
