"""Typed results: frozen dataclasses that can be written as JSON and read back."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from wopt.errors import RunError
from wopt.files import finite

T = TypeVar("T")


def _or_nan(value: Any) -> Any:
    return math.nan if value is None else value


Number = Annotated[float, BeforeValidator(_or_nan)]
"""A float that is null in JSON if it is not finite, and is then read back as NaN."""


class Typed:
    """Base of frozen dataclasses: ``to_dict`` writes, ``from_dict`` reads with checks.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Point(Typed):
        ...     x: float
        ...     tags: tuple[str, ...] = ()
        >>> point = Point(0.5, ("a",))
        >>> point.to_dict()
        {'x': 0.5, 'tags': ['a']}
        >>> Point.from_dict(point.to_dict()) == point
        True
        >>> Point.from_dict({"x": "half"})
        Traceback (most recent call last):
        wopt.errors.RunError: x: Input should be a valid number, got 'half'
    """

    in_file: ClassVar[dict[str, str]] = {}
    """Names that fields have in the file, where they differ."""

    def to_dict(self) -> dict[str, Any]:
        """Return a table for ``json``, with ``None`` for numbers that are not finite."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return {self.in_file.get(name, name): _plain(getattr(self, name)) for name in names}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Return the object of a table from ``to_dict``; unknown keys are ignored."""
        try:
            return of_json(cls, finite(dict(table)))
        except ValueError as error:
            raise RunError(str(error)) from None


def of_json(of: type[T], value: Any) -> T:
    """Return a value of JSON as an object of a type, a dataclass for example."""
    try:
        # JSON mode is strict about numbers and words and takes lists for tuples.
        adapter = _adapter(of)  # type: ignore[arg-type]  # mypy doubts that classes hash
        made: T = adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    return made


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _plain(value: Any) -> Any:
    if isinstance(value, Typed):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, enum.Enum) else finite(value)


def _first(error: ValidationError) -> str:
    """Return one line: the path of the value, the problem, the value."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"]) or "it"
    if first["type"] == "missing":
        return f"it has no `{path}`"
    return f"{path}: {first['msg']}, got {first['input']!r}"
