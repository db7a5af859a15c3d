"""A lock of a directory that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from wopt.errors import BusyError, RunError

if sys.platform != "win32":
    import fcntl

__all__ = ["locked"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder (``flock``), which the system releases when the process ends.

    It leaves no file. On a file system without locks nothing is locked.

    Raises:
        BusyError: Another process, or another part of this one, holds it.
        RunError: The folder cannot be opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
        ...     with locked(Path(folder)):
        ...         pass
        Traceback (most recent call last):
        wopt.errors.BusyError: ...
    """
    if sys.platform == "win32":  # which has no flock
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"{folder}: cannot be opened: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BusyError(
                    f"{folder}: another process writes there now; wait until it has ended, or end "
                    "it (its lock ends with it)"
                ) from None
        yield
    finally:
        os.close(handle)
