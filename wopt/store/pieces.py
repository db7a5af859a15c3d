"""Large checkpoints: safetensors files of some rows each, with a JSON index."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from wopt.errors import DamagedError
from wopt.files import write_json
from wopt.mapped import IN_MEMORY, Memory
from wopt.parallel import SOLO, Team
from wopt.reading import check_no_link
from wopt.store.documents import damaged, read_document
from wopt.tensors import Array, check_tensors, read_tensors, write_tensors
from wopt.typed import Typed

_DTYPES = {"torch.float32": torch.float32, "torch.float64": torch.float64}

_AGAIN = "restore it from a copy, or run again"


@dataclasses.dataclass(frozen=True)
class Index(Typed):
    """The index of a checkpoint's files.

    Attributes:
        files: Number of rows of each file.
        tensors: Shape and dtype of each tensor, of the rows of all files.
    """

    files: dict[str, NonNegativeInt]
    tensors: dict[str, tuple[tuple[NonNegativeInt, ...], Literal["torch.float32", "torch.float64"]]]

    def __post_init__(self) -> None:
        total = sum(self.files.values())
        if any(shape[:1] != (total,) for shape, _ in self.tensors.values()):
            raise ValueError("rows are missing")

    def schema(self, rows: int) -> dict[str, Array]:
        """Return what a file of so many rows must hold."""
        return {
            key: Array(" ".join(map(str, (rows, *shape[1:]))), needed=True, dtype=_DTYPES[of])
            for key, (shape, of) in self.tensors.items()
        }


BYTES = 2**26
"""Largest number of bytes of a file: writing one takes a multiple of that in memory."""


def write_pieces(
    folder: Path, name: str, tensors: dict[str, Tensor], total: int, of: Team = SOLO
) -> None:
    """Write the rows that this process holds of n, in a whole number of files a process.

    The first process writes the index, see :func:`write_index`, after all have written.

    Args:
        folder: Folder of the files; made if it does not exist.
        name: Name of this checkpoint, such as ``003``; files of others are not changed.
        tensors: This process's rows by name, shapes ``(own, ...)``.
        total: Number n of rows of all processes.
        of: The team of processes.
    """
    folder.mkdir(exist_ok=True)
    first, count = of.span(total).start, count_pieces(tensors, total, of)
    for k, (file, rows) in enumerate(_files(name, total, count)):
        if k * of.size // count == of.rank:
            own = slice(rows.start - first, rows.stop - first)
            write_tensors(folder / file, {key: t[own] for key, t in tensors.items()}, {})


def write_index(
    folder: Path, name: str, tensors: dict[str, Tensor], total: int, of: Team = SOLO
) -> str:
    """Write the index of files of rows ``(n, ...)``, by :func:`write_pieces`; return its name."""
    count = count_pieces(tensors, total, of)
    files = {file: rows.stop - rows.start for file, rows in _files(name, total, count)}
    about = {key: [[total, *t.shape[1:]], str(t.dtype)] for key, t in tensors.items()}
    write_json(folder / f"{name}.json", {"files": files, "tensors": about})
    return f"{name}.json"


def count_pieces(tensors: dict[str, Tensor], total: int, of: Team = SOLO) -> int:
    """Return the number of files of rows ``(n, ...)`` like these, the same on every process."""
    row = sum(t[:1].numel() * t.element_size() for t in tensors.values())
    return of.size * max(1, math.ceil(row * total / of.size / BYTES))


def _files(name: str, total: int, count: int) -> list[tuple[str, slice]]:
    return [
        (
            f"{name}-{k + 1:05d}-of-{count:05d}.safetensors",
            slice(total * k // count, total * (k + 1) // count),
        )
        for k in range(count)
    ]


def read_pieces(
    folder: Path, index: str, of: Team = SOLO, memory: Memory = IN_MEMORY
) -> tuple[dict[str, Tensor], int]:
    """Return this process's rows, shapes ``(own, ...)``, and the number of rows of all.

    Only files with some of these rows are read.
    """
    check_no_link(folder)
    path = folder / _own(folder, index)
    known = read_document(path, Index, _AGAIN)
    if known is None:
        raise DamagedError(f"{path}: is missing, so the run is damaged; {_AGAIN}")
    _check_sizes(path, known)
    total = sum(known.files.values())
    span, start = of.span(total), 0
    own = {
        key: memory.room((span.stop - span.start, *shape[1:]), _DTYPES[dtype])
        for key, (shape, dtype) in known.tensors.items()
    }
    for file, count in known.files.items():
        a, b = max(start, span.start), min(start + count, span.stop)
        if a < b:
            parts = check_tensors(
                folder / file, read_tensors(folder / file)[0], known.schema(count)
            )
            for key, into in own.items():
                into[a - span.start : b - span.start] = parts[key][a - start : b - start]
        start += count
    return own, total


def _own(folder: Path, name: str) -> str:
    """Return a name of a file of the folder itself, or raise."""
    if not name or Path(name).name != name:
        raise DamagedError(f"{folder}: is damaged: {name!r} is not one of its files; {_AGAIN}")
    return name


def _check_sizes(path: Path, known: Index) -> None:
    """Raise unless the tensors are at most as large as the files, before memory is allocated."""
    files = [path.parent / _own(path.parent, file) for file in known.files]
    there = sum(file.stat().st_size for file in files if file.exists())
    asked = sum(math.prod(shape) * _DTYPES[of].itemsize for shape, of in known.tensors.values())
    if asked > there:
        raise damaged(path, "its tensors are larger than its files", _AGAIN)


def drop_pieces(folder: Path, keep: str | None) -> None:
    """Delete the files of all checkpoints except that of an index."""
    if not folder.is_dir():
        return
    name = None if keep is None else keep.removesuffix(".json")
    for file in folder.iterdir():
        if name is None or file.name.split(".")[0].split("-")[0] != name:
            file.unlink()
