"""Tensors of many rows, in memory or, above a budget, in mapped files of a run's directory."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.errors import ConfigError

SHARE = 16
"""Tensors above the budget divided by this are mapped; a run has a few of them at a time."""

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(text: str) -> int:
    """Return the number of bytes of a text such as ``"2GB"``."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]B)\s*", text, re.IGNORECASE)
    try:
        size = float(found[1]) * _UNITS[found[2].upper()] if found else 0.0
    except ValueError:
        size = 0.0
    if not size > 0:
        raise ConfigError(
            f"{text!r} is not an amount of memory; write a number with KB, MB, GB or TB"
        )
    return int(size)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Where tensors of many rows are: in memory, or in mapped files of a folder.

    The files are unlinked once they are mapped, so that they live as long as their tensors and
    nothing is left of them, whatever ends the process.

    Attributes:
        folder: Folder of the files, made if needed; ``None`` for memory alone.
        most: Bytes above which a tensor is mapped.
    """

    folder: Path | None = None
    most: float = math.inf

    def is_large(self, size: float) -> bool:
        """Whether a tensor of so many bytes is mapped."""
        return size > self.most

    def room(self, shape: Sequence[int], dtype: torch.dtype, *, mapped: bool = False) -> Tensor:
        """Return an empty tensor on the CPU, in a mapped file if it is large.

        Args:
            shape: Shape of the tensor.
            dtype: Dtype of the tensor.
            mapped: Whether to use a file for any size, if there is a folder.
        """
        folder, count = self.folder, math.prod(shape)
        size = count * dtype.itemsize
        if folder is None or not count or not (mapped or self.is_large(size)):
            return torch.empty(tuple(shape), dtype=dtype)
        folder.mkdir(parents=True, exist_ok=True)
        if size > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, "no room for the particles", str(folder))
        # Processes of several machines may share the folder.
        path = folder / f"{uuid.uuid4().hex}.rows"
        whole = torch.from_file(str(path), shared=True, size=count, dtype=dtype)
        path.unlink()
        return whole.view(tuple(shape))


IN_MEMORY = Memory()
"""No files."""


@contextlib.contextmanager
def memmap_scope(folder: Path, memory: str | None, *, passing: bool = False) -> Iterator[Memory]:
    """Yield a budget of memory, above which tensors are in mapped files of a folder.

    Args:
        folder: Folder of the files.
        memory: The budget, such as ``"2GB"``; ``None`` to keep everything in memory.
        passing: Whether to remove the folder at the end, if it is empty, and that of the run if
            it is new and empty.
    """
    new = not folder.parent.exists()
    try:
        yield Memory(folder, math.inf if memory is None else bytes_of(memory) / SHARE)
    finally:
        if passing:
            # Folders with files of killed processes, or of a run, are not empty and stay.
            for empty in (folder, folder.parent) if new else (folder,):
                with contextlib.suppress(OSError):
                    empty.rmdir()
