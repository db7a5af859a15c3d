"""Reading of untrusted files: without links or devices, of bounded size."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wopt.errors import DamagedError

MOST_TEXT = 64 * 2**20
"""Largest number of bytes of a text file, far above what a long run writes."""

_ESCAPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def check_regular(path: Path, most: int | None = None) -> None:
    """Raise unless a path is that of a regular file, no link, of at most so many bytes."""
    check_no_link(path)
    if path.exists() and not path.is_file():
        raise DamagedError(f"{path}: is not a regular file; remove it")
    size = path.stat().st_size  # raises FileNotFoundError
    if most is not None and size > most:
        raise DamagedError(
            f"{path}: is damaged: it has {size:,} bytes, and such files have at most {most:,}"
        )


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8."""
    check_regular(path, MOST_TEXT)
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: is damaged: {error}") from None


def parsed_json(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parsed_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text; raises as :func:`parsed_json` does."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


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
    """Add text to a regular file, created if needed; what does not fit on the disk is not kept."""
    before = 0
    with contextlib.suppress(FileNotFoundError):
        check_regular(path)
        before = path.stat().st_size
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, before)
        raise
