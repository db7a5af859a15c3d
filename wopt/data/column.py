"""Column: what a column of a table is, and the map from its values to the whole line."""

from __future__ import annotations

import dataclasses
import decimal
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.cells import Cells, CellTransform
from wopt.data.quantile_transform import Interval, QuantileTransform
from wopt.data.texts import FORMATS


def check_column(column: Column) -> None:
    """Raise unless a column that a file describes is valid.

    Example:
        >>> check_column(Column("age", bounds=(1.0, 0.0)))
        Traceback (most recent call last):
        ValueError: column 'age' has no bounds low < high
    """
    parts = _faults(column), _faults_of_curve(column.curve), _faults_of_cells(column.cells)
    for why in itertools.chain(*parts):
        raise ValueError(f"column {column.name!r} has {why}")


def _faults(column: Column) -> Iterator[str]:
    if not column.bounds[0] < column.bounds[1]:
        yield "no bounds low < high"
    numbers = (column.width, column.origin, column.fill or 0.0)
    if not all(map(math.isfinite, numbers)) or column.width < 0:
        yield "a `width`, `origin` or `fill` that is not finite"
    if column.kind != "continuous" and not column.width:
        yield "no `width`"
    if not column.scale > 0 or not 0 <= column.least < math.inf:
        yield "a `scale` that is not positive, or a `least` that is negative"
    if column.kind == "categorical" and (
        (column.bounds, column.width) != ((-0.5, len(column.categories) - 0.5), 1)
        or not column.categories
    ):
        yield "bounds that do not fit the categories"
    if column.format not in ("", *FORMATS):
        yield "an unknown format of times"
    import pyarrow

    try:
        pyarrow.array(column.categories, pyarrow.type_for_alias(column.type))
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        yield f"a wrong type: {' '.join(str(error).split())}"


def _faults_of_curve(curve: QuantileTransform | None) -> Iterator[str]:
    if curve is None:
        return
    parts = (curve.x, curve.z, curve.slopes)
    if len({len(part) for part in parts}) > 1 or len(curve.x) < 2:
        yield "a curve whose parts differ in length"
    if not all(math.isfinite(value) for part in parts for value in part):
        yield "a curve with a value that is not finite"
    rising = all(a < b for part in parts[:2] for a, b in itertools.pairwise(part))
    if not rising or min(curve.slopes) <= 0:
        yield "a curve that does not increase"


def _faults_of_cells(cells: Cells | None) -> Iterator[str]:
    if cells is None:
        return
    numbers = (*cells.values, cells.width, cells.mean, cells.scale)
    if not cells.values or len(cells.values) != len(cells.masses):
        yield "cells that are not as many values as masses"
    # Cells may touch, within rounding.
    room = all(b - a >= cells.width * (1 - 1e-6) for a, b in itertools.pairwise(cells.values))
    if not all(map(math.isfinite, numbers)) or not room or cells.width <= 0 or cells.scale < 0:
        yield "cells that overlap or are not finite"
    whole = math.fsum(cells.masses)
    wrong = whole > 1 + 1e-9 or (whole < 1 - 1e-9) == (cells.scale == 0)
    if wrong or not min(cells.masses) > 0:
        yield "cells whose masses do not sum as they should"


Kind = Literal["continuous", "integer", "categorical"]
Category = str | bool | int | float | None

_BOUNDS = Field(validation_alias=AliasChoices("bounds", "ends"))  # as files of older formats


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
        categories: The category of each code; of texts of numbers the word for a missing one.
        type: Arrow type in which values are written.
        fill: The number that stands for a missing value: of a condition with a mask, or in a cell
            of its own.
        mask: Name of the condition whose missing values this column marks; empty for other columns.
        curve: Map that makes the column's law on the line nearly normal, or ``None``.
        scale: Distance to the only end of the support beyond which the map to the line is nearly
            linear; below it is nearly a logarithm.
        least: Distance to the only end of the support, if it is inferred, within which nothing was
            seen; a density goes on beyond the end, samples do not. 0 for an end that is given.
        cells: Values with a probability each, beside the density if there is one, or ``None``.
        unit: Units of the type in one of the column's numbers, such as nanoseconds in a day.
        format: Format of texts that are times; empty for other columns.
    """

    name: str
    kind: Kind = "continuous"
    bounds: Annotated[tuple[float, float], _BOUNDS] = (-math.inf, math.inf)
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
    least: float = 0.0
    format: str = ""

    @property
    def discrete(self) -> bool:
        """Whether some values have a probability, not a density."""
        return self.kind != "continuous" or self.cells is not None

    @property
    def rounded(self) -> bool:
        """Whether samples are moved to values that the data can have."""
        return self.discrete or self.least > 0

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
        bounds = (*self.bounds, self.scale, self.least) if self.bounded else None
        if self.cells is not None:
            first: list[Bijection] = [CellTransform(self.cells, bounds, self.fill)]
        else:
            first = [] if bounds is None else [Interval(*bounds)]
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
        # Beyond an end that is inferred lies what was not seen: the least value seen is near.
        low, high = self.bounds[0] + self.least, self.bounds[1] - self.least
        y = torch.where((x < self.bounds[0]) | (x > self.bounds[1]), x.clamp(low, high), x)
        if self.kind != "continuous":
            low, high = (end / self.width for end in self.bounds)
            origin = self.origin / self.width
            # An end itself belongs to the cell inside of it.
            cells = (x / self.width - origin).round()
            cells = cells.clamp(min=low - origin + 0.5, max=high - origin - 0.5)
            y = torch.round(self.origin + self.width * cells, decimals=self._decimals)
        if self.cells is not None:
            k, inside = self.cells.at(x)
            values = x.new_tensor(self.cells.values)[k]
            y = values if self.finite else torch.where(inside, values, y)
        return y

    @property
    def _decimals(self) -> int:
        """Digits after the point of the grid's values."""
        numbers = (decimal.Decimal(repr(v)).normalize() for v in (self.width, self.origin))
        return max(-int(one.as_tuple().exponent) for one in numbers)

    def noise(self, x: Tensor) -> Tensor:
        """Return the width of the cell around each value, of the shape of x; 0 for none."""
        width = torch.full_like(x, self.width)
        if self.cells is None:
            return width
        return torch.where(self.cells.at(x)[1], self.cells.width, width)


@dataclasses.dataclass(frozen=True)
class Derived:
    """A column whose values follow from the modelled ones and from the number of the row.

        value = intercept + sum_i weight_i value_i + step * row,   or   table[value_1].

    Attributes:
        column: What its values are, by which they are rounded and written.
        why: Why it is not modelled, for people.
        of: Names of the columns that it follows from.
        weights: Their weights.
        intercept: The constant part.
        step: What is added from row to row; codes of categories begin again after the last.
        table: The code of each code of the only column that it follows from.

    Example:
        >>> total = Derived(Column("total"), "total = men + women", ("men", "women"), (1.0, 1.0))
        >>> total.values({"men": np.array([2.0]), "women": np.array([3.0])}, 1).tolist()
        [5.0]
    """

    column: Column
    why: str
    of: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    intercept: float = 0.0
    step: float = 0.0
    table: tuple[float, ...] = ()

    def words(self) -> str:
        """Return a description for people."""
        return f"{self.column.name}: not modelled: it {self.why}"

    def values(self, known: Mapping[str, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
        """Return the values, shape ``(n,)``, NaN where they follow from a missing one.

        Args:
            known: The modelled columns by name, shapes ``(n,)``.
        """
        if self.table:
            code = known[self.of[0]]
            found = np.asarray(self.table)[np.nan_to_num(code).astype(np.int64)]
            found[np.isnan(code)] = np.nan
            return found
        values = np.asarray(self.intercept + self.step * np.arange(n), dtype=np.float64)
        for name, weight in zip(self.of, self.weights, strict=True):
            values = values + weight * known[name]
        if self.column.kind == "categorical":
            return np.mod(values, len(self.column.categories), dtype=np.float64)
        return values

    def check(self, columns: Sequence[Column]) -> None:
        """Raise unless the columns that it follows from are there."""
        known = {column.name: column for column in columns}
        name = self.column.name
        if name in known or not set(self.of) <= set(known):
            raise ValueError(f"column {name!r} follows from columns that are not there")
        wanted = 1 if self.table else len(self.weights)
        if len(self.of) != wanted:
            raise ValueError(f"column {name!r}: the weights are not as many as the columns")
        if self.table and len(self.table) != len(known[self.of[0]].categories):
            raise ValueError(f"column {name!r}: its table does not fit the categories")
