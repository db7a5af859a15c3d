"""Row filters: ``time == 0 and kind == "a"``, comparisons of columns with values only."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from wopt.data.tables import is_numeric, pick_columns
from wopt.errors import DataError

__all__ = ["Condition", "filtered", "parse_where"]

_OPERATORS = {
    "==": "equal", "!=": "not_equal", "<=": "less_equal", ">=": "greater_equal", "<": "less",
    ">": "greater",
}  # fmt: skip
_CONDITION = re.compile(
    r"""\s*(?:`(?P<quoted>[^`]+)`|(?P<bare>[^\s`"'=!<>]+))\s*
    (?P<operator>==|!=|<=|>=|<|>)\s*
    (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s"'=!<>]+))\s*""",
    re.VERBOSE,
)


@dataclasses.dataclass(frozen=True)
class Condition:
    """A comparison of a column with a value."""

    column: str
    operator: str
    value: str | float | bool


def parse_where(text: str) -> list[Condition]:
    """Return the conditions of a filter, which must all hold, without running code.

    Args:
        text: ``column op value``, joined by ``and``; op is one of ``== != < <= > >=``; a value is a
            number, ``true``, ``false``, or text (in quotes, if it has blanks). A column's name
            with blanks goes in backticks.

    Raises:
        DataError: The text is not such a filter.

    Example:
        >>> parse_where('time == 0 and stage != "late bud"')[1]
        Condition(column='stage', operator='!=', value='late bud')
    """
    conditions, position = [], 0
    while True:
        match = _CONDITION.match(text, position)
        if match is None:
            break
        conditions.append(_condition(match))
        position = match.end()
        joined = re.compile(r"and\s").match(text, position)
        if joined is None:
            break
        position = joined.end()
    if not conditions or position < len(text):
        raise DataError(
            f"where = {text!r}: cannot be read from {text[position:]!r} on; write `column op "
            "value` joined by `and`, with == != < <= > >= and a number, true, false or a text, "
            'as in `time == 0 and stage != "late"`'
        )
    return conditions


def filtered(table: Any, where: str, origin: str) -> Any:
    """Return the rows of an Arrow table that satisfy a filter, without those with missing values.

    Args:
        table: The table.
        where: The filter.
        origin: The table's file, for messages.

    Raises:
        DataError: A column is missing or of another type than the value, or no row is left.
    """
    import pyarrow.compute
    import pyarrow.types

    kept: Any = None
    for one in parse_where(where):
        column = table.column(pick_columns(table.column_names, [one.column], origin)[0])
        if pyarrow.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        compare = getattr(pyarrow.compute, _OPERATORS[one.operator])
        holds = compare(column, _like(one, column, origin))
        kept = holds if kept is None else pyarrow.compute.and_(kept, holds)
    left = table.filter(kept)
    if left.num_rows == 0:
        raise DataError(f"{origin}: no row of {table.num_rows} satisfies where = {where!r}")
    return left


def _condition(match: re.Match[str]) -> Condition:
    column = match["quoted"] or match["bare"]
    text = match["double"] if match["double"] is not None else match["single"]
    return Condition(column, match["operator"], _value(match["word"]) if text is None else text)


def _value(word: str) -> str | float | bool:
    if word in ("true", "false", "True", "False"):
        return word.lower() == "true"
    try:
        return float(word)
    except ValueError:
        return word


def _like(one: Condition, column: Any, origin: str) -> Any:
    """Return the value in a type that Arrow compares with the column."""
    import pyarrow
    import pyarrow.types

    kind, value = column.type, one.value
    if is_numeric(kind) and isinstance(value, float):
        return pyarrow.scalar(value, pyarrow.float64())
    if pyarrow.types.is_boolean(kind) and isinstance(value, bool):
        return pyarrow.scalar(value)
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        # A word that looks like a number may be a text all the same.
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return pyarrow.scalar(text, kind)
    raise DataError(
        f"{origin}: where: column {one.column!r} holds {kind}, which is not compared with {value!r}"
    )
