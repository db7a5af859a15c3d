"""Typed documents in JSON: one per file, or one per line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from wopt.errors import DamagedError, RunError
from wopt.files import write_text
from wopt.reading import parsed_json, printable, read_text
from wopt.typed import Typed

__all__ = ["SPARE", "damaged", "parsed", "read_document", "read_lines", "write_lines"]

SPARE = "delete it: only what it shows of its time is lost"
"""Advice about a damaged snapshot."""

T = TypeVar("T", bound=Typed)


def write_lines(path: Path, documents: Iterable[Typed]) -> None:
    """Write a file with one document per line, completely or not at all."""
    write_text(path, "".join(json.dumps(one.to_dict()) + "\n" for one in documents))


def read_document(path: Path, of: type[T], remedy: str = "") -> T | None:
    """Return the document in a file, or ``None`` if the file does not exist.

    Args:
        path: The file.
        of: Type of the document.
        remedy: Advice if the file is damaged; there is a default for files of a run.
    """
    text = _text(path)
    if text is None:
        return None
    try:
        return parsed(text, of)
    except RunError as error:
        raise damaged(path, error, remedy) from None


def read_lines(path: Path, of: type[T], remedy: str = "") -> list[T]:
    """Return the document in each line of a file; see :func:`read_document`."""
    lines = (_text(path) or "").splitlines()
    try:
        return [parsed(line, of, f"line {number}") for number, line in enumerate(lines, 1)]
    except RunError as error:
        raise damaged(path, error, remedy) from None


def damaged(path: Path, why: object, remedy: str = "") -> DamagedError:
    """Return the error of a file that cannot be used, in one line."""
    remedy = remedy or f"restore it, or make it again with `wopt resume {path.parent}`"
    what = printable(f"{why}", one_line=True)
    return DamagedError(
        f"{path} is damaged, or of another version of wopt: {what[:_LONGEST]}; {remedy}"
    )


_LONGEST = 400


def _text(path: Path) -> str | None:
    try:
        return read_text(path)
    except FileNotFoundError:
        return None


def parsed(text: str | bytes, of: type[T], line: str = "") -> T:
    """Return the document of a JSON text."""
    try:
        table = parsed_json(text)
    except ValueError as error:
        raise RunError(f"{line or 'it'} is not JSON ({error})") from None
    if not isinstance(table, dict):
        raise RunError(f"{line or 'it'} is not a JSON object")
    try:
        return of.from_dict(table)
    except RunError as error:
        raise RunError(f"{line}: {error}" if line else str(error)) from None
