"""What a source is told of its table: which rows and columns, and what they are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from wopt.data.assembly import check_context, pick_columns
from wopt.data.column import Kind
from wopt.data.tables import is_numeric
from wopt.data.texts import is_text
from wopt.data.transform import How
from wopt.errors import ConfigError, DataError

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
    """Return the rows of a table that satisfy a filter, without those with missing values."""
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
    if is_text(kind):
        # A word that looks like a number may be a text all the same.
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return pyarrow.scalar(text, kind)
    raise DataError(
        f"{origin}: where: column {one.column!r} holds {kind}, which is not compared with {value!r}"
    )


def _readable(text: str | None) -> str | None:
    if text is not None:
        try:
            parse_where(text)
        except DataError as error:
            raise ValueError(str(error)) from None
    return text


def _interval(wish: Any) -> Any:
    if isinstance(wish, (list, tuple)) and not wish[0] < wish[1]:
        raise ValueError(f"an interval is [low, high] with low < high, got {list(wish)}")
    return wish


def _shares(value: tuple[float, float, float]) -> tuple[float, float, float]:
    if min(value) <= 0 or abs(sum(value) - 1) > 1e-6:
        raise ValueError(
            f"needs three positive shares that sum to 1 (train, validation, test), got "
            f"{list(value)} with sum {sum(value):g}"
        )
    return value


def _mapping(value: Any) -> Any:
    """Let ``support = "infer"`` stand for every column."""
    return {"*": "infer"} if value == "infer" else value


Columns = Annotated[
    list[str | int] | None,
    Field(
        description="columns to use, by name or index from 0; by default all, without those that "
        "`weights`, `time` with `at`, and an == of `where` name"
    ),
]
Missing = Annotated[
    Literal["model", "refuse", "drop", "mask"],
    Field(
        description="what to do about missing values: model them, as a value that samples have, "
        "too; refuse the data; drop the rows; or mask: only in conditions (`context`), where the "
        "median stands for what is missing, and a further condition says so, as with `model`"
    ),
]
Context = Annotated[
    list[str | int] | None,
    Field(
        description="columns that the others are conditioned on, by name or index; the model is "
        "then the conditional law of the others"
    ),
]
Kinds = Annotated[
    dict[str, Kind] | None,
    Field(
        description="kinds of columns, by name: continuous, integer or categorical; by default "
        "whole numbers are integer, texts and truth values categorical"
    ),
]
Support = Annotated[
    dict[
        str,
        Annotated[Literal["positive", "infer"] | tuple[float, float], AfterValidator(_interval)],
    ]
    | None,
    BeforeValidator(_mapping),
    Field(
        description='the support of columns, by name: [low, high] (inf for no end), "positive", '
        'or "infer" from the data; no sample lies outside; `support = "infer"` infers all'
    ),
]
Weights = Annotated[
    str | None,
    Field(description="the column of sample weights, in proportion to which rows are drawn"),
]
Where = Annotated[
    str | None,
    AfterValidator(_readable),
    Field(description='which rows to use: `column op value` joined by `and`, as in "time == 0"'),
]
Time = Annotated[
    str | None,
    Field(
        description="the column of times: a condition of the model or, with `at`, what selects "
        "the rows"
    ),
]
At = Annotated[float | None, Field(description="the time whose rows are used; needs `time`")]

Preprocess = Annotated[
    How,
    Field(
        description="change of coordinates, fitted on the training split and undone for samples "
        "and likelihoods: none, standardise (unit variances), whiten (unit covariance), "
        "gaussianise (columns made nearly normal by a curve each where that gains, then whitened), "
        "marginals (the same curves, then standardised: pixels stay pixels) or principal (the same "
        "curves, then the principal components, white, in falling order of their variance)"
    ),
]
Fractions = Annotated[
    tuple[float, float, float],
    AfterValidator(_shares),
    Field(description="shares of the rows for training, validation and test; they sum to 1"),
]
File = Annotated[
    Path,
    # Absolute, so that a run's resolved configuration means the same from any directory.
    AfterValidator(lambda path: path.expanduser().absolute()),
    Field(description="the file, relative to the current directory"),
]
Key = Annotated[
    str | None, Field(description="which array of an .npz file; not needed if it holds one")
]
Dequantise = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="width of the uniform noise added to data on a grid, which have no density: "
        "the grid's spacing, 1 for integers",
    ),
]


Wish = Literal["positive", "infer"] | tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Choices:
    """Options of a source for its table; see :mod:`wopt.data.choices`."""

    columns: Sequence[str | int] | None = None
    nan: Literal["model", "refuse", "drop", "mask"] = "refuse"
    context: Sequence[str | int] | None = None
    dequantise: float = 0.0
    kinds: Mapping[str, Kind] | None = None
    support: Mapping[str, Wish] | None = None
    weights: str | None = None
    where: str | None = None
    time: str | None = None
    at: float | None = None

    def __post_init__(self) -> None:
        if self.at is not None and self.time is None:
            raise ConfigError('`at` says which rows of a `time` column to use; name it: time = "t"')

    @property
    def conditions(self) -> list[str | int]:
        """The context columns, with that of the time if the model is one for all times."""
        given = list(self.context or [])
        if self.time is not None and self.at is None and self.time not in given:
            given.append(self.time)
        return given

    def default_columns(self, names: Sequence[str]) -> list[str]:
        """Return the columns that are used if ``columns`` is not given."""
        out = {"", self.weights}
        if self.time is not None and self.at is not None:
            out.add(self.time)
        if self.where is not None:
            out |= {one.column for one in parse_where(self.where) if one.operator == "=="}
        return [name for name in names if name not in out]

    def check(self, names: Sequence[str], origin: str) -> None:
        """Check the options against the names of the columns.

        Raises:
            DataError: A column is missing.
        """
        alone = [self.weights, self.time, *(self.kinds or {}), *(self.support or {})]
        wished = [name for name in alone if name not in (None, "*")]
        wished += [one.column for one in parse_where(self.where)] if self.where else []
        for name in wished:
            assert name is not None
            pick_columns(names, [name], origin)
        self.chosen(names, origin)

    def chosen(self, known: Sequence[str], origin: str) -> tuple[tuple[str, ...], list[int]]:
        """Return the columns that are used, of those of a table, and which are conditions.

        A condition given as an index refers to the columns picked.
        """
        columns = self.default_columns(known) if self.columns is None else self.columns
        picked = [known[j] for j in pick_columns(known, columns, origin)]
        more = [name for name in self.conditions if name in known and name not in picked]
        names = (*picked, *map(str, more))
        return names, check_context(names, self.conditions)
