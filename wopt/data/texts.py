"""Texts of a table: numbers, codes, dates and times, categories or names; without torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

FEW = 10
"""Largest number of distinct numbers that are a list of values, not a scale."""

CATEGORIES = 256
"""Largest number of categories; a text with more is a name or a note."""

CODE = r"^\s*0\d"
"""The beginning of a text that a number would not give back."""


def is_number(text: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    import pyarrow.types

    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def are_numbers(values: Any, *, asked: bool = False) -> bool:
    """Whether texts are numbers, but for few that stand for missing values.

    Args:
        asked: Whether a kind of numbers was asked for; if not, few ones are codes.
    """
    cells = _known(values)
    if not asked and (len(set(cells)) <= FEW or any(re.match(CODE, cell) for cell in cells)):
        return False  # codes, which come back as they were
    return 2 * sum(map(is_number, cells)) > len(cells)


def words_for_gaps(values: Any) -> tuple[str, ...]:
    """Return the text that stands for missing values among numbers, the commonest if several do."""
    words = Counter(cell for cell in values.to_pylist() if cell is None or not is_number(cell))
    return tuple(word for word, _ in words.most_common(1) if word is not None)


def names(values: Any) -> str:
    """Return why texts are names, or nothing."""
    cells = _known(values)
    distinct = len(set(cells))
    if distinct > CATEGORIES or (distinct > 20 and distinct > len(cells) / 2):
        return f"has {distinct} distinct texts in {len(cells)} rows, which are names"
    return ""


def _known(values: Any) -> list[str]:
    return [cell for cell in values.to_pylist() if cell is not None]


_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%b-%Y")
_SHORT = ("%-d.%-m.%Y", "%-m/%-d/%Y", "%-d/%-m/%Y")
"""Dates, and such without leading zeros."""


_WRITTEN = "%Y-%m-%d %H:%M:%S"
"""Format in which a csv file is given times."""


def _formats() -> Iterator[str]:
    for day in (*_DAYS, *_SHORT):
        yield day
        for clock in ("%H:%M:%S", "%H:%M"):
            for zone in ("", "Z", "+00:00"):
                yield from (f"{day}{between}{clock}{zone}" for between in " T")


FORMATS = tuple(_formats())


def times_of_texts(values: Any, formats: Sequence[str] = FORMATS) -> tuple[Any, str] | None:
    """Return texts as Arrow times, and the format that gives all of them back; ``None`` if none.

    Example:
        >>> import pyarrow
        >>> times, format = times_of_texts(pyarrow.chunked_array([["1/31/2024", "2/1/2024"]]))
        >>> format, texts_of_times(times, format).to_pylist()
        ('%-m/%-d/%Y', ['1/31/2024', '2/1/2024'])
    """
    first = next((k for k, cell in enumerate(values) if cell.is_valid), None)
    if first is None:
        return None
    for format in formats:
        for unit in ("s", "ms", "us", "ns") if format.endswith("S") else ("s",):
            if _as_times(values[first : first + 1], format, unit) is not None:
                times = _as_times(values, format, unit)
                if times is not None:
                    return times, format
    return None


def _as_times(values: Any, format: str, unit: str) -> Any:
    """Return texts as times of a unit, if the format gives them back."""
    import pyarrow
    import pyarrow.compute

    try:
        if unit == "s":
            plain = format.replace("%-", "%")
            times = pyarrow.compute.strptime(values, format=plain, unit=unit, error_is_null=True)
        else:  # with fractions
            times = values.cast(pyarrow.timestamp(unit))
    except pyarrow.ArrowException:
        return None
    return times if texts_of_times(times, format).equals(values.cast(pyarrow.string())) else None


def is_lost(texts: Any, values: Any) -> bool:
    """Whether integers or times would not be written as the texts that they were read from."""
    import pyarrow.compute
    import pyarrow.types

    if pyarrow.types.is_integer(values.type):
        coded = pyarrow.compute.match_substring_regex(texts, CODE)
        return bool(pyarrow.compute.any(coded).as_py())
    read = times_of_texts(texts)
    return read is not None and (read[0].type, read[1]) != (values.type, _WRITTEN)


def texts_of_times(times: Any, format: str) -> Any:
    """Return Arrow times as texts of a format, null where one is missing."""
    import pyarrow.compute

    texts = pyarrow.compute.strftime(times, format=format.replace("%-", "%"))
    if "%-" not in format:
        return texts
    return pyarrow.compute.replace_substring_regex(texts, r"\b0(\d[/.])", r"\1")
