"""Files read a piece at a time: into a mapped file, or what one process holds of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wopt.data import Choices, Dataset, Preprocess, assemble, check_finite, existing_file
from wopt.errors import DataError
from wopt.memory import PIECE
from wopt.runtime import ALONE, Runtime
from wopt.statistics import stride


def streamed(
    path: str | Path,
    choices: Choices,
    fractions: tuple[float, float, float],
    preprocess: Preprocess,
    seed: int,
    runtime: Runtime = ALONE,
) -> Dataset | None:
    """Return the dataset of a table that does not fit ``run.memory``; ``None`` if it fits.

    The result equals that of :func:`wopt.data.from_table` to the bit. The rows are copied once
    from the file, memory-mapped or a row group at a time, to a mapped file in the splits' order.

    If each process loads its own training rows (``runtime.by_rows``), the first process, which
    measures, has all rows in such a file and the others have their own rows in memory.

    Args:
        path: A ``.npy`` or ``.parquet`` file of floating-point numbers.

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
    about: dict[str, Any] = {"types": [types[n] for n in names], "condition": len(given)}

    def each() -> Iterator[tuple[Tensor, Tensor]]:
        """Yield places, shape ``(p,)``, with their rows, ``(p, d)``."""
        return _placed(pieces(names), n, seed, dtype, names, str(path))

    if of is not None and not of.first:
        like = torch.empty(0, len(names), dtype=dtype)
        own, few, valid, test = _part(each(), (*ends, n), of.span(ends[0]), like)
        with contextlib.suppress(DataError):  # a column that varies in few rows
            made = assemble((few, valid, test), preprocess, names, **about)
            return dataclasses.replace(made, train=own, shared=ends[0])
    x = runtime.memory.room((n, len(names)), dtype, mapped=of is not None)
    for place, rows in each():
        x[place] = rows
    return assemble(torch.tensor_split(x, ends), preprocess, names, **about)


def _part(
    placed: Iterable[tuple[Tensor, Tensor]], ends: Sequence[int], span: slice, like: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a process's training rows, evenly spaced ones of all, validation and test rows."""
    total, valid, n = ends
    step = stride(total)
    own = like.new_empty(span.stop - span.start, like.shape[1])
    few = like.new_empty(len(range(0, total, step)), like.shape[1])
    rest = like.new_empty(n - total, like.shape[1])
    for place, rows in placed:
        even = (place < total) & (place % step == 0)
        few[place[even] // step] = rows[even]
        for into, first in ((own, span.start), (rest, total)):
            inside = (place >= first) & (place < first + len(into))
            into[place[inside] - first] = rows[inside]
    return own, few, rest[: valid - total], rest[valid - total :]


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
            for start in range(0, len(array), PIECE):
                yield np.ascontiguousarray(array[start : start + PIECE][:, at])

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
        for batch in file.iter_batches(batch_size=PIECE, columns=list(chosen)):
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in chosen]
            yield np.stack(columns, axis=1)

    types = {name: str(schema.field(name).type) for name in schema.names}
    return tuple(schema.names), types, file.metadata.num_rows, pieces
