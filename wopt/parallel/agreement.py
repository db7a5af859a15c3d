"""The numbers inside a value, extracted and replaced so that processes can agree on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

__all__ = ["numbers_in", "with_numbers"]

T = TypeVar("T")
Number = float | int | bool | None


def numbers_in(value: Any) -> list[Number]:
    """Return the numbers in a value, and ``None``, in order, without texts and tensors.

    It looks into tuples, lists, mappings and dataclasses.

    Example:
        >>> numbers_in({"momentum": 0.5, "why": "uphill", "past": (1, None)})
        [0.5, 1, None]
    """
    if value is None or isinstance(value, float | int):
        return [value]
    return [number for part in _parts(value).values() for number in numbers_in(part)]


def with_numbers(value: T, numbers: Iterator[float | None]) -> T:
    """Return a value with its numbers replaced by others.

    Example:
        >>> with_numbers({"momentum": 0.5, "past": (1, None)}, iter([0.25, 2.0, None]))
        {'momentum': 0.25, 'past': (2, None)}
    """
    made: Any
    if value is None or isinstance(value, float | int):
        number = next(numbers)
        made = number if number is None or value is None else type(value)(number)
        return made
    parts = {key: with_numbers(part, numbers) for key, part in _parts(value).items()}
    if not parts:
        return value
    if isinstance(value, Mapping):
        made = parts
    elif isinstance(value, tuple | list):
        of = type(value)
        made = of(*parts.values()) if hasattr(of, "_fields") else of(parts.values())
    else:
        made = dataclasses.replace(value, **parts)  # type: ignore[type-var]
    return made


def _parts(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {}
