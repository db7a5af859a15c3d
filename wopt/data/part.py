"""The rows of a table that one of several processes holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.dataset import Dataset
from wopt.data.table_transform import fit_transform
from wopt.data.transform import How
from wopt.errors import DataError
from wopt.statistics import stride

__all__ = ["TablePart"]


@dataclasses.dataclass(frozen=True)
class TablePart:
    """The rows that one process reads of a shuffled table.

    Attributes:
        own: Its training rows, a contiguous range of all, shape ``(m, d)``.
        few: Training rows, evenly spaced among all, to which the preprocessing is fitted.
        valid, test: The validation and the test rows, shapes ``(n_k, d)``.
        total: Number of training rows over all processes.
    """

    own: Tensor
    few: Tensor
    valid: Tensor
    test: Tensor
    total: int

    @classmethod
    def read(
        cls,
        placed: Iterable[tuple[Tensor, Tensor]],
        n: int,
        ends: Sequence[int],
        span: slice,
        like: tuple[int, torch.dtype],
    ) -> TablePart:
        """Return the part of a process, splits of shapes ``(n_k, d)``, reading piece by piece.

        Args:
            placed: Places in the shuffled table, shape ``(p,)``, and the rows there, ``(p, d)``, by
                pieces.
            n: Number of rows of the table.
            ends: Indices at which the training rows and the validation rows end.
            span: Range of the training rows of this process.
            like: Number of columns, and dtype.

        Example:
            >>> x = torch.arange(10.0)[:, None]
            >>> like = 1, x.dtype
            >>> part = TablePart.read([(torch.arange(10), x)], 10, [6, 8], slice(3, 6), like)
            >>> part.own[:, 0].tolist(), part.test[:, 0].tolist(), part.total
            ([3.0, 4.0, 5.0], [8.0, 9.0], 6)
        """
        (columns, dtype), total = like, ends[0]
        step = stride(total)
        own = torch.empty(span.stop - span.start, columns, dtype=dtype)
        few = torch.empty(len(range(0, total, step)), columns, dtype=dtype)
        rest = torch.empty(n - total, columns, dtype=dtype)
        for place, rows in placed:
            _put(own, place - span.start, rows)
            _put(rest, place - total, rows)
            even = (place < total) & (place % step == 0)
            few[place[even] // step] = rows[even]
        valid, test = torch.tensor_split(rest, [ends[1] - total])
        return cls(own, few, valid, test, total)

    def dataset(self, how: How, names: tuple[str, ...], columns: Columns) -> Dataset | None:
        """Return the dataset of this process; ``None`` if the preprocessing needs all rows.

        Args:
            how: The preprocessing, the same on every process.
            names: The columns' names.
            columns: Descriptions of the columns.
        """
        try:
            transform = fit_transform(self.few, how, columns)
        except DataError:  # a column that varies in few rows
            return None
        return Dataset(self.own, self.valid, self.test, transform, names, shared=self.total)


def _put(into: Tensor, place: Tensor, rows: Tensor) -> None:
    """Copy the rows whose places are in a tensor."""
    inside = (place >= 0) & (place < len(into))
    into[place[inside]] = rows[inside]
