"""The source of rows in memory, for ``wopt.fit``."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from wopt.data.choices import Choices, Columns, Context, Kinds, Missing, Support, Where
from wopt.data.dataset import Dataset
from wopt.data.frames import FrameType, as_table, is_frame
from wopt.data.load import from_table
from wopt.data.refusals import SPLIT
from wopt.data.transform import How
from wopt.errors import DataError
from wopt.interfaces.source import Source


class Rows(Source):
    """Rows in memory, split and preprocessed like those of a file (source ``array``).

    Args:
        x: Data, shape ``(n, d)``: a tensor, an array, or a frame (pandas, polars, pyarrow).
        conditions: Conditions of the model, shape ``(n, c)``.
        preprocess: ``none``, ``standardise``, ``whiten`` or ``gaussianise``; ``auto`` leaves it to
            the planner.
        split: Fractions of the rows for training, validation and test.
        dequantise: Width of the uniform noise added to data on a grid.
        columns: The columns to use.
        context: Columns of ``x`` that the others are conditioned on.
        kinds: Kinds of columns: continuous, integer or categorical.
        support: Bounds of columns.
        nan: Treatment of rows with a missing value: ``model``, ``refuse``,
            ``drop`` or ``mask``.
        weights: A column of ``x``, or weights of rows, shape ``(n,)``.
        where: Condition that selects rows.

    Example:
        >>> import torch
        >>> data = Rows(torch.randn(100, 3)).load(seed=0)
        >>> len(data.train), data.names
        (80, ('x0', 'x1', 'x2'))
    """

    def __init__(
        self,
        x: Any,
        conditions: Any = None,
        preprocess: How | Literal["auto"] = "whiten",
        split: tuple[float, float, float] = SPLIT,
        dequantise: float = 0.0,
        columns: Columns = None,
        context: Context = None,
        kinds: Kinds = None,
        support: Support = None,
        nan: Missing = "model",
        weights: Any = None,
        where: Where = None,
    ) -> None:
        self.x = x
        self.conditions = conditions
        self.preprocess = preprocess
        self.split = split
        self.weights = weights
        self.choices = Choices(
            columns, nan, context, dequantise, kinds, support, self._weights_name(), where
        )

    @property
    def frame(self) -> FrameType | None:
        """Type of a frame, or ``None``."""
        return FrameType.of(self.x) if is_frame(self.x) else None

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        choices = self.choices
        if self.conditions is not None:
            given = self._given().column_names
            choices = dataclasses.replace(choices, context=[*(choices.context or []), *given])
        how = "whiten" if self.preprocess == "auto" else self.preprocess
        # The table has no name, so that its memory is freed once it is read.
        return from_table(self._table(), choices, self.split, how, seed, "x")

    def preprocessed(self, how: str) -> Rows:
        """Return the same rows with another preprocessing."""
        return self.with_options(preprocess=how)

    def _weights_name(self) -> str | None:
        return self.weights if self.weights is None or isinstance(self.weights, str) else _WEIGHTS

    def _table(self) -> Any:
        """Return x as a table, with columns of the separate conditions and weights."""
        table = as_table(self.x)
        if self.conditions is not None:
            given = self._given()
            if given.num_rows != table.num_rows:
                raise DataError(
                    f"conditions are rows beside x, shape ({table.num_rows}, c); got "
                    f"{(given.num_rows, given.num_columns)}"
                )
            for name, column in zip(given.column_names, given.columns, strict=True):
                table = _append(table, name, column, "conditions")
        if self.weights is not None and not isinstance(self.weights, str):
            table = _append(table, _WEIGHTS, np.asarray(self.weights, dtype=np.float64), "weights")
        return table

    def _given(self) -> Any:
        """Return the conditions as a table, whose columns are named ``c0``, ... in an array."""
        given = as_table(self.conditions)
        if is_frame(self.conditions):
            return given
        return given.rename_columns([f"c{j}" for j in range(given.num_columns)])


_WEIGHTS = "sample weight"


def _append(table: Any, name: str, column: Any, what: str) -> Any:
    import pyarrow

    if name in table.column_names:
        raise DataError(f"{what}: x has a column named {name!r} already; rename one")
    if len(column) != table.num_rows:
        raise DataError(f"{what}: x has {table.num_rows} rows, and these are {len(column)}")
    return table.append_column(name, column if hasattr(column, "chunks") else pyarrow.array(column))
