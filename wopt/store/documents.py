"""Typed documents in JSON: one in a file, or one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from wopt.errors import RunError
from wopt.files import finite
from wopt.typed import Typed

__all__ = ["read_document", "read_lines"]

T = TypeVar("T", bound=Typed)


def read_document(path: Path, of: type[T], again: str = "resume") -> T | None:
    """Return what a file holds, or ``None`` if there is no such file.

    Args:
        path: In a run directory.
        of: What it holds.
        again: The command that makes the file again.

    Raises:
        RunError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        return of.from_dict(_table(_text(path), "it"))
    except RunError as error:
        raise _damaged(path, error, again) from None


def read_lines(path: Path, of: type[T], again: str = "resume") -> list[T]:
    """Return what each line of a file holds, nothing if there is no such file.

    Raises:
        RunError: It is damaged.
    """
    if not path.is_file():
        return []
    documents = []
    try:
        for number, line in enumerate(_text(path).splitlines(), 1):
            table = _table(line, f"line {number}")
            try:
                documents.append(of.from_dict(table))
            except RunError as error:
                raise RunError(f"line {number}: {error}") from None
    except RunError as error:
        raise _damaged(path, error, again) from None
    return documents


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(str(error)) from None


def _table(text: str, where: str) -> dict[str, Any]:
    try:
        value = finite(json.loads(text))
    except json.JSONDecodeError as error:
        raise RunError(f"{where} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise RunError(f"{where} is not a JSON object")
    return value


def _damaged(path: Path, why: object, again: str) -> RunError:
    return RunError(
        f"{path} is damaged, or of another version of wopt: {why}; restore it, or make it again "
        f"with `wopt {again} {path.parent}`"
    )
