"""Reading of untrusted files: without links or devices, of bounded size and depth."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wopt.errors import DamagedError

MOST_TEXT = 64 * 2**20
"""Largest number of bytes of a text file, far above what a long run writes."""

_MOST_TOML = 4 * 2**20
_DEPTH = 64
"""Largest depth of nested tables and lists."""

_LARGEST = 2**63
_PARTS, _HEADERS = 64, 2000
"""Largest number of parts of a dotted key, and of headers: parsing is quadratic in them."""

_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*+\"?|'[^'\n]*+'?")
_AROUND_DOTS = re.compile(r"(?<![ \t])[ \t]*\.[ \t]*")
_BETWEEN = re.compile(r"[\s,\[\]{}=]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@contextlib.contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[int]:
    """Yield a descriptor of a regular file, opened without following a link and without waiting."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    check_no_link(path)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read: {_why(error)}") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise DamagedError(
                f"{path}: is not a regular file, but {_kind(about.st_mode)}; remove it"
            )
        if most is not None and about.st_size > most:
            raise DamagedError(
                f"{path}: is damaged: it has {about.st_size:,} bytes, and such files have at most "
                f"{most:,}"
            )
        yield handle
    finally:
        os.close(handle)


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """Return the bytes of a regular file; raises as :func:`opened` does."""
    with opened(path, most) as handle, os.fdopen(os.dup(handle), "rb") as file:
        try:
            return file.read(most + 1)[:most]
        except OSError as error:
            raise DamagedError(f"{path}: cannot be read: {_why(error)}") from None


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Return the text of a file in UTF-8."""
    try:
        return read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: is damaged: {error}") from None


def parsed_json(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    try:
        return _sane(json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parsed_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text; raises as :func:`parsed_json` does."""
    if len(text) > _MOST_TOML:
        raise ValueError(f"it has more than {_MOST_TOML:,} characters")
    if text.count("\n[") > _HEADERS:
        raise ValueError(f"it has more than {_HEADERS} tables")
    plain = _AROUND_DOTS.sub(".", _QUOTED.sub("q", text))
    if any(word.count(".") > _PARTS for word in _BETWEEN.split(plain)):
        raise ValueError("it is nested too deeply")
    try:
        table: dict[str, Any] = _sane(tomllib.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return table


def printable(text: str, *, one_line: bool = False) -> str:
    r"""Return text in which control characters are escaped, for a terminal or a log.

    Args:
        text: Untrusted text.
        one_line: Whether to escape line breaks too.

    Example:
        >>> printable("a\x1b[2Jb\nc", one_line=True)
        'a\\x1b[2Jb\\nc'
    """
    text = _ESCAPED.sub(lambda found: ascii(found[0])[1:-1], text)
    return text.replace("\n", "\\n") if one_line else text


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def message_of(error: BaseException) -> str:
    r"""Return what an error says, on one line; an error of a plugin may fail to say anything."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its own __str__ raises
        text = ""
    return printable(text) or "no message"


def check_no_link(path: Path) -> None:
    """Raise if a path is a link."""
    if path.is_symlink():
        raise DamagedError(
            f"{path}: is a link, and a run directory holds none, so that nothing outside of it is "
            "read or written; put a copy of the file in its place"
        )


def appending(path: Path, text: str) -> None:
    """Add text to a regular file, created if needed, without following a link."""
    check_no_link(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise DamagedError(f"{path}: is not a regular file; remove it") from None
        raise
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise DamagedError(
                f"{path}: is not a regular file, but {_kind(about.st_mode)}; remove it"
            )
        if about.st_nlink > 1:
            raise DamagedError(
                f"{path}: has another name too (a hard link), and what is added would appear "
                "there; put a copy in its place"
            )
        data = text.encode("utf-8", "backslashreplace")
        if os.write(handle, data) < len(data):  # the disk is full: remove the partial line
            os.ftruncate(handle, about.st_size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _sane(value: Any) -> Any:
    """Return a value from a file, checked for depth, large integers and surrogates."""
    level = [value]
    for _ in range(_DEPTH):
        inside: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inside += one
                inside += one.values()
            elif isinstance(one, list):
                inside += one
            elif isinstance(one, int) and not -_LARGEST <= one < _LARGEST:
                raise ValueError("it holds a whole number of more than 64 bits")
            elif isinstance(one, str) and _SURROGATE.search(one):
                raise ValueError("it holds text that is not Unicode")
        level = inside
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _kind(mode: int) -> str:
    return "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"


def _why(error: OSError) -> str:
    return error.strerror or str(error)
