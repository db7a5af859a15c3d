"""Columns that are not modelled, as they are known from the others, and put back into samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wopt.data.column import Column

__all__ = ["Derived"]


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

    def values(self, known: Mapping[str, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
        """Return the values, shape ``(n,)``, NaN where they follow from a missing one.

        Args:
            known: The modelled columns by name, shapes ``(n,)``.
            n: Number of rows.
        """
        if self.table:
            code = known[self.of[0]]
            found = np.asarray(self.table)[np.nan_to_num(code).astype(np.int64)]
            found[np.isnan(code)] = np.nan
            return found
        values = np.asarray(self.intercept + self.step * np.arange(n), dtype=np.float64)
        for name, weight in zip(self.of, self.weights, strict=True):
            values = values + weight * known[name]
        if self.column.categories:
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
