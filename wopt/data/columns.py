"""Columns: what the columns of a table are, and the map from their values to the whole line."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.data.column import Column, Derived, check_column
from wopt.reading import parsed_json
from wopt.typed import of_json

Map = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a model, and the map E of their values to R^d, column by column.

        E(x) = log (x - a) on (a, oo),   log ((x - a) / (b - x)) on (a, b),   x on the line,

    so that no sample leaves a support that is given; after it a column's curve, if it has one.
    Conditions, the last columns, are not mapped. Rows are numbers here, float64: categories are
    codes.

    Attributes:
        columns: The columns that a model has, conditions last.
        condition: Number of conditions.
        derived: Columns of the table that follow from these, and are put back into samples.
        order: Names of the table's columns, in order, where some are derived.

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
    derived: tuple[Derived, ...] = ()
    order: tuple[str, ...] = ()

    @classmethod
    def on_the_line(
        cls, names: Sequence[str], condition: int = 0, types: Sequence[str] | None = None
    ) -> Columns:
        """Return columns of numbers on the whole line, in Arrow types, double by default."""
        kinds = types or ["double"] * len(names)
        return cls(tuple(Column(n, type=t) for n, t in zip(names, kinds, strict=True)), condition)

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
    def of_table(self) -> tuple[str, ...]:
        """Names of the table's columns in its order, with those that are put back."""
        return self.order if self.derived else tuple(column.name for column in self.shown)

    @property
    def plain(self) -> bool:
        """Whether all columns are left as they are."""
        return not self.derived and all(column.plain for column in self.columns)

    @property
    def discrete(self) -> bool:
        """Whether a modelled column is discrete, so that densities stand for masses."""
        return any(column.discrete for column in self.moved)

    @property
    def rounded(self) -> bool:
        """Whether samples of a modelled column are moved to possible values."""
        return any(column.rounded for column in self.moved)

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
        """Return the nearest possible rows, shape ``(..., d)``."""
        y = x.clone()
        for j, column in enumerate(self.columns[: x.shape[-1]]):
            if column.rounded:
                y[..., j] = column.round(x[..., j])
        return y

    def seen(self, x: Tensor) -> Tensor:
        """Return possible rows, shape ``(..., d)``, NaN where a value is missing."""
        y = self.round(x)
        for j, column in enumerate(self.moved):
            if column.fill is not None:
                y[..., j] = y[..., j].masked_fill(y[..., j] == column.fill, math.nan)
        return y

    def jitter(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return rows, shape ``(..., d)``, with noise U(-w/2, w/2) in cells of width w."""
        moved = self.moved
        if not any(column.width or column.cells for column in moved):
            return x
        drawn = torch.rand(*x.shape[:-1], len(moved), generator=rng, dtype=x.dtype)
        widths = torch.stack([c.noise(x[..., j]) for j, c in enumerate(moved)], dim=-1)
        spread = widths * (drawn - 0.5).to(x)
        return torch.cat([x[..., : len(moved)] + spread, x[..., len(moved) :]], dim=-1)

    def to_json(self) -> str:
        """Return JSON text for :meth:`from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Columns:
        """Return the columns that :meth:`to_json` described.

        Raises:
            ValueError: The text does not describe columns.
        """
        made = of_json(cls, parsed_json(text))
        for column in (*made.columns, *(one.column for one in made.derived)):
            check_column(column)
        if len(set(made.names)) < len(made.names) or not 0 <= made.condition < len(made.columns):
            raise ValueError("columns have the same name, or all are conditions")
        for one in made.derived:
            one.check(made.columns)
        every = {*made.names, *(one.column.name for one in made.derived)}
        if made.derived and not set(made.order) <= every:
            raise ValueError("the order names columns that are not there")
        return made
