"""Tensors of many rows, in memory or, above a budget, in mapped files of a run's directory."""

from __future__ import annotations

import contextlib
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

__all__ = ["bytes_of", "is_large", "memmap_scope", "room"]

SHARE = 16
"""Tensors above the budget divided by this are mapped; a run has a few of them at a time."""

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

_folder: Path | None = None
_most = math.inf


def bytes_of(text: str) -> int:
    """Return the number of bytes of a text such as ``"2GB"``.

    Raises:
        ConfigError: The text is not an amount of memory.

    Example:
        >>> bytes_of("2GB"), bytes_of("500 MB")
        (2000000000, 500000000)
    """
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


@contextlib.contextmanager
def memmap_scope(folder: Path, memory: str | None, *, passing: bool = False) -> Iterator[None]:
    """Keep large tensors in mapped files of a folder inside.

    The files are unlinked once they are mapped, so that they live as long as their tensors and
    nothing is left of them, whatever ends the process.

    Args:
        folder: Folder of the files, made if needed.
        memory: The budget, such as ``"2GB"``; ``None`` to keep everything in memory.
        passing: Whether to remove the folder at the end, if it is empty, and that of the run if
            it is new and empty.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, memmap_scope(Path(folder), "16MB"):
        ...     large, small = (room((n, 2), torch.float32)[0] for n in (200_000, 100))
        >>> large.untyped_storage().filename is not None, small.untyped_storage().filename
        (True, None)
    """
    global _folder, _most
    before, new = (_folder, _most), not folder.parent.exists()
    _folder, _most = folder, math.inf if memory is None else bytes_of(memory) / SHARE
    try:
        yield
    finally:
        _folder, _most = before
        if passing:
            # Folders with files of killed processes, or of a run, are not empty and stay.
            for empty in (folder, folder.parent) if new else (folder,):
                with contextlib.suppress(OSError):
                    empty.rmdir()


def is_large(size: float) -> bool:
    """Whether a tensor of so many bytes is mapped."""
    return size > _most


def room(
    shape: Sequence[int], dtype: torch.dtype, *, name: str | None = None, mapped: bool = False
) -> tuple[Tensor, Path | None]:
    """Return an empty tensor on the CPU, in a mapped file if it is large, and that file.

    Args:
        shape: Shape of the tensor.
        dtype: Dtype of the tensor.
        name: Name by which other processes find the file, until the caller removes it; by default
            the file is unlinked at once, and no path is returned.
        mapped: Whether to use a file for any size, if there is a folder.

    Raises:
        OSError: The disk is too full, so that writing would kill the process (SIGBUS).
    """
    count = math.prod(shape)
    if _folder is None or not count or not (mapped or is_large(count * dtype.itemsize)):
        return torch.empty(tuple(shape), dtype=dtype), None
    _folder.mkdir(parents=True, exist_ok=True)
    if count * dtype.itemsize > shutil.disk_usage(_folder).free:
        raise OSError(errno.ENOSPC, "no room for the particles", str(_folder))
    # Processes of several machines may share the folder.
    path = _folder / f"{name or uuid.uuid4().hex}.rows"
    whole = torch.from_file(str(path), shared=True, size=count, dtype=dtype).view(tuple(shape))
    if name is not None:
        return whole, path
    path.unlink()
    return whole, None
