"""Writing files whole or not at all, and locks of directories that end with their process."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wopt.errors import BusyError, RunError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which on success replaces ``path``."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # the folder may be gone
                temporary.unlink(missing_ok=True)


def check_takes_files(path: Path) -> None:
    """Raise if no file can be written at ``path``, before work is done that would be lost."""
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        try:
            os.write(handle, b"x")  # a full disk still takes empty files
        finally:
            os.close(handle)
            os.unlink(name)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> RunError:
    """Return the error of a file that could not be written, with what to do."""
    why = str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _SHORT.search(why):
        why = "the disk is full"
    elif not path.parent.is_dir():
        why = f"{path.parent} is gone"
    elif error.errno == errno.EROFS:
        why = "its disk is read-only"
    return RunError(
        f"cannot write {path}: {why}; what was there before is untouched. Free space or choose "
        "another place and try again (a run goes on with `wopt resume`)"
    )


_SHORT = re.compile(r"requested and \d+ written")
"""Message of numpy about a full disk, which has no error number."""

_LEFTOVER = re.compile(r"\.(.+)\.[a-z0-9_]{8}(\.[a-z]+)")


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove half-written files that killed writers have left in a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, ".a.json.x1y2z3_w.json").write_text("{")
        ...     _ = Path(folder, ".hidden").write_text("kept")
        ...     [path.name for path in remove_leftovers(Path(folder))]
        ['.a.json.x1y2z3_w.json']
    """
    removed = []
    for path in sorted(folder.glob(".*")):
        found = _LEFTOVER.fullmatch(path.name)
        if found and found[1].endswith(found[2]):
            with contextlib.suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(value), indent=2) + "\n")


def finite(value: Any) -> Any:
    """Return a copy in which NaN and infinities, which JSON does not have, are ``None``."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value


if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder (``flock``), which the system releases when the process ends.

    It leaves no file. On a file system without locks nothing is locked.
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
