"""Tables read a piece at a time: into a mapped file, or what one process holds of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wopt.data.assembly import assemble
from wopt.data.choices import Choices
from wopt.data.columns import Column, Columns
from wopt.data.dataset import Dataset, check_finite
from wopt.data.table_transform import fit_transform
from wopt.data.tables import existing_file
from wopt.data.transform import How
from wopt.errors import DataError
from wopt.runtime import ALONE, Runtime
from wopt.statistics import stride

__all__ = ["TablePart", "streamed"]


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
        """Return the dataset of this process; ``None`` if the preprocessing needs all rows."""
        try:
            transform = fit_transform(self.few, how, columns)
        except DataError:  # a column that varies in few rows
            return None
        return Dataset(self.own, self.valid, self.test, transform, names, shared=self.total)


def _put(into: Tensor, place: Tensor, rows: Tensor) -> None:
    """Copy the rows whose places are in a tensor."""
    inside = (place >= 0) & (place < len(into))
    into[place[inside]] = rows[inside]


_ROWS = 2**16
"""Rows that are read at a time."""


def streamed(
    path: str | Path,
    choices: Choices,
    fractions: tuple[float, float, float],
    preprocess: How,
    seed: int,
    runtime: Runtime = ALONE,
) -> Dataset | None:
    """Return the dataset of a table that does not fit ``run.memory``; ``None`` if it fits.

    The result equals that of :func:`wopt.data.load.from_table` to the bit. The rows are copied once
    from the file, memory-mapped or a row group at a time, to a mapped file in the splits' order.

    If each process loads its own training rows (``runtime.by_rows``), the first process, which
    measures, has all rows in such a file and the others have their own rows in memory.

    Args:
        path: A ``.npy`` or ``.parquet`` file of floating-point numbers.
        choices: Options for rows and columns.
        fractions: Fractions of the splits.
        preprocess: The preprocessing to fit.
        seed: Seed of the shuffle.
        runtime: What loads it.

    Raises:
        DataError: The table is too large and cannot be streamed, or as for ``from_table``.
    """
    path = existing_file(path)
    opened = _opened(path)
    if opened is None:
        return None
    known, types, n, pieces = opened
    choices.check(known, str(path))
    used, given = choices.chosen(known, str(path))
    names = tuple(used[j] for j in [*(j for j in range(len(used)) if j not in given), *given])
    kinds = {types[name] for name in names}
    wide = "float" if kinds == {"float"} else "double"
    dtype = torch.float32 if wide == "float" else torch.float64
    # With conditions every process needs rows of others.
    of = runtime.team if runtime.by_rows and not given else None
    large = runtime.memory.is_large(n * len(names) * dtype.itemsize)
    wrong = _wrong(choices, kinds)
    ends = [round(sum(fractions[: k + 1]) * n) for k in range(len(fractions) - 1)]
    empty = not 0 < ends[0] < ends[1] < n
    if not large and (of is None or wrong or empty):
        return None
    if wrong:
        raise _unfit(path, wrong)
    columns = Columns(tuple(Column(name, type=types[name]) for name in names), len(given))

    def each() -> Iterator[tuple[Tensor, Tensor]]:
        """Yield places, shape ``(p,)``, with their rows, ``(p, d)``."""
        return _placed(pieces(names), n, seed, dtype, names, str(path))

    if of is not None and not of.first:
        part = TablePart.read(each(), n, ends, of.span(ends[0]), (len(names), dtype))
        dataset = part.dataset(preprocess, names, columns)
        if dataset is not None:
            return dataset
    x = runtime.memory.room((n, len(names)), dtype, mapped=of is not None)
    for place, rows in each():
        x[place] = rows
    return assemble(torch.tensor_split(x, ends), preprocess, names, columns=columns)


def _placed(
    pieces: Iterator[NDArray[Any]],
    n: int,
    seed: int,
    dtype: torch.dtype,
    names: tuple[str, ...],
    origin: str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows in the file's order with their places in the shuffled table."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    place = torch.empty_like(order)
    place[order] = torch.arange(n)
    del order
    start = 0
    for piece in pieces:
        rows = torch.from_numpy(piece).to(dtype)
        check_finite(rows, names, f"{origin}, rows from {start}")
        yield place[start : start + len(rows)], rows
        start += len(rows)


def _wrong(choices: Choices, kinds: set[str]) -> list[str]:
    """Return the names of options and types that need all rows at once."""
    asked = {
        "kinds": choices.kinds, "dequantise": choices.dequantise, "support": choices.support,
        "weights": choices.weights, "where": choices.where, "time": choices.time,
        "nan": choices.nan not in ("refuse", "model"),
    }  # fmt: skip
    wrong = [name for name, value in asked.items() if value]
    return wrong + [f"columns of type {kind}" for kind in sorted(kinds - {"float", "double"})]


def _unfit(path: Path, wrong: list[str]) -> DataError:
    return DataError(
        f"{path} does not fit run.memory and cannot be streamed with {', '.join(wrong)}: write "
        "the rows and columns that are used to a .npy or .parquet file of floating-point "
        "numbers first, or raise run.memory"
    )


def _opened(path: Path) -> tuple[tuple[str, ...], dict[str, str], int, Any] | None:
    """Return the columns' names and types, the number of rows, and a reader of pieces."""
    if path.suffix.lower() == ".npy":
        array = _mapped(path)
        if array is None:
            return None
        names = tuple(f"x{j}" for j in range(array.shape[1]))
        kind = {"f4": "float", "f8": "double"}.get(array.dtype.str[1:], str(array.dtype))

        def pieces(chosen: Sequence[str]) -> Iterator[NDArray[Any]]:
            at = [names.index(name) for name in chosen]
            for start in range(0, len(array), _ROWS):
                yield np.ascontiguousarray(array[start : start + _ROWS][:, at])

        return names, dict.fromkeys(names, kind), len(array), pieces
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    return None


def _mapped(path: Path) -> NDArray[Any] | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError):  # the reader of whole files reports it
        return None
    plain = array.ndim == 2 and array.dtype.isnative and array.shape[1] > 0
    return array if plain else None


def _parquet(path: Path) -> tuple[tuple[str, ...], dict[str, str], int, Any] | None:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError):
        return None
    schema = file.schema_arrow

    def pieces(chosen: Sequence[str]) -> Iterator[NDArray[Any]]:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(chosen)):
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in chosen]
            yield np.stack(columns, axis=1)

    types = {name: str(schema.field(name).type) for name in schema.names}
    return tuple(schema.names), types, file.metadata.num_rows, pieces
