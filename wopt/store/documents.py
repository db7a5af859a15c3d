"""Typed documents in JSON, one per file or per line, and checks that schemas do not make."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.errors import DamagedError, RunError
from wopt.files import write_text
from wopt.reading import parsed_json, printable, read_text
from wopt.typed import Number, Typed

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


_MOST_STEPS = 100_000


@dataclasses.dataclass(frozen=True)
class Kept(Typed):
    """The metadata of ``state.safetensors``.

    Attributes:
        step: Number of the last finished step.
        step_size: Step size h of that step; ``None`` before the first.
        energy: Value of the objective after that step.
        plan: The scheme's numbers for the next step.
        refined: Whether all blocks were trained together after that step.
        ahead: Whether the newest block has not been applied to the training particles yet.
        begun: Numbers that identify the start's training particles, where they are not stored.
        pieces: Name of the index of files with the training particles, where they are not here.
    """

    step: int
    step_size: float | None
    energy: Number
    plan: dict[str, Number]
    refined: bool = False
    ahead: bool = False
    begun: tuple[float, ...] | None = None
    pieces: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.step <= _MOST_STEPS:
            raise ValueError(f"it says that {self.step} steps were made")
        if self.ahead and not self.step:
            raise ValueError("it has a block ahead and no step")


def check_transform(
    tensors: Mapping[str, Tensor], names: Sequence[str], columns: Columns | None
) -> None:
    """Raise unless a preprocessing, ``(d,)`` and ``(d, d)``, is invertible and fits its columns."""
    if not bool(torch.linalg.slogdet(tensors["matrix"].double())[1].isfinite()):
        raise ValueError("`matrix` is singular")
    width = tensors["conditions"].shape[1] if "conditions" in tensors else 0
    if width >= len(names):
        raise ValueError("all columns are conditions")
    if columns is not None and (columns.names != tuple(names) or columns.condition != width):
        raise ValueError("`columns` do not fit `names` and `conditions`")


def same_kinds(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise where tensors, of any shape, would silently change their type."""
    for name, value in given.items():
        if name in wanted and value.dtype != wanted[name].dtype:
            raise ValueError(f"`{name}` is {value.dtype} and not {wanted[name].dtype}")
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ValueError(f"`{name}` is not a number somewhere")
