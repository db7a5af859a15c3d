"""The source that reads rows of numbers from a file."""

from __future__ import annotations

import torch

from wopt import DataError, Dataset, Source
from wopt.data.assemble import check_context, from_rows
from wopt.data.dataset import check_finite
from wopt.data.tables import column_names, pick_columns, read_table
from wopt_measures.options import (
    Columns,
    Context,
    Dequantise,
    File,
    Fractions,
    Key,
    Missing,
    Preprocess,
)

__all__ = ["ArraySource"]


class ArraySource(Source):
    """Rows of numbers from a ``.npy``, ``.npz``, ``.csv`` or ``.parquet`` file.

    Rows are shuffled by the seed and cut into three splits. A 1-D array is one column.

    Raises:
        DataError: The file is missing or damaged, a column is missing or holds no numbers, there
            are NaN or infinite values (``nan = "refuse"``), or too few rows.

    Example:
        >>> import numpy, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "x.npy"
        ...     numpy.save(path, numpy.random.default_rng(0).normal(size=(100, 3)))
        ...     data = ArraySource(path, columns=[0, 2]).load(seed=0)
        >>> len(data.train), len(data.test), data.names
        (80, 10, ('x0', 'x2'))
    """

    def __init__(
        self,
        path: File,
        key: Key = None,
        columns: Columns = None,
        nan: Missing = "refuse",
        split: Fractions = (0.8, 0.1, 0.1),
        preprocess: Preprocess = "whiten",
        dequantise: Dequantise = 0.0,
        context: Context = None,
    ) -> None:
        self.path = path
        self.key = key
        self.columns = columns
        self.nan = nan
        self.split = split
        self.preprocess = preprocess
        self.dequantise = dequantise
        self.given = context

    def check(self) -> None:
        """Raise for a missing file, an unreadable header or a missing column."""
        names = column_names(self.path, self.key)
        chosen = pick_columns(names, self.columns, str(self.path))
        check_context(tuple(names[j] for j in chosen), self.given)

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        table, names = read_table(self.path, self.key, self.columns)
        x = torch.from_numpy(table)
        if self.nan == "drop":
            rows = len(x)
            x = x[torch.isfinite(x).all(1)]
            if len(x) == 0:
                raise DataError(
                    f"{self.path}: all {rows} rows have a NaN or infinite value, so dropping them "
                    "leaves none; choose other `columns`"
                )
        check_finite(x, names, str(self.path))
        return from_rows(x, names, self.split, self.preprocess, self.dequantise, seed, self.given)
