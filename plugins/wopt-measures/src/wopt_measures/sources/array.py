"""The source that reads rows of a table from a file."""

from __future__ import annotations

from wopt import Dataset, Source
from wopt.data import (
    At,
    Choices,
    Columns,
    Context,
    Dequantise,
    File,
    Fractions,
    Key,
    Kinds,
    Missing,
    Preprocess,
    Support,
    Time,
    Weights,
    Where,
    column_names,
    from_table,
    read_frame,
)
from wopt_measures.sources.stream import streamed


class ArraySource(Source):
    """Rows of a table from a ``.npy``, ``.npz``, ``.csv`` or ``.parquet`` file.

    Rows are shuffled by the seed and cut into three splits. A 1-D array is one column. Whole
    numbers are integers, and texts and truth values are categories (``kinds`` says otherwise):
    these are spread by uniform noise over the cell of each value, and samples are rounded back to
    values. The mean over the noise of the spread law's log-density is a lower bound of the
    log-probability of the values.

    Raises:
        DataError: The file is missing or damaged, a column is missing or unusable, values are
            infinite (or missing, with ``nan = "refuse"``), or there are too few rows.

    Example:
        >>> import numpy, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "x.npy"
        ...     numpy.save(path, numpy.random.default_rng(0).normal(size=(100, 3)))
        ...     data = ArraySource(path, columns=[0, 2]).load(seed=0)
        >>> len(data.train), len(data.test), data.names
        (80, 10, ('x0', 'x2'))
    """

    cites = ()

    def __init__(
        self,
        path: File,
        key: Key = None,
        columns: Columns = None,
        nan: Missing = "model",
        split: Fractions = (0.8, 0.1, 0.1),
        preprocess: Preprocess = "whiten",
        dequantise: Dequantise = 0.0,
        context: Context = None,
        kinds: Kinds = None,
        support: Support = None,
        weights: Weights = None,
        where: Where = None,
        time: Time = None,
        at: At = None,
    ) -> None:
        self.path = path
        self.key = key
        self.split = split
        self.preprocess = preprocess
        self.choices = Choices(
            columns, nan, context, dequantise, kinds, support, weights, where, time, at
        )

    def check(self) -> None:
        """Raise if the file or a column is missing, or the header is unreadable."""
        self.choices.check(column_names(self.path, self.key), str(self.path))

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed; beyond ``run.memory`` in a mapped file."""
        how = self.choices, self.split, self.preprocess
        rows = streamed(self.path, *how, seed, self.runtime)
        if rows is not None:
            return rows
        # The table has no name, so that its memory is freed once it is read.
        return from_table(
            read_frame(self.path, self.key),
            self.choices,
            self.split,
            self.preprocess,
            seed,
            str(self.path),
        )
