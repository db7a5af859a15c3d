"""Option types of sources that read tables, with their descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from wopt.data.columns import Kind
from wopt.data.transform import How
from wopt.data.where import parse_where
from wopt.errors import DataError

__all__ = [
    "At", "Columns", "Context", "Dequantise", "File", "Fractions", "Key", "Kinds", "Missing",
    "Preprocess", "Support", "Time", "Weights", "Where",
]  # fmt: skip


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
    Literal["refuse", "drop", "mask"],
    Field(
        description="what to do about rows with a missing, NaN or infinite value: refuse the "
        "data, drop the rows, or mask: in conditions (`context`) the median stands for what is "
        "missing, and a further condition says so"
    ),
]
Context = Annotated[
    list[str | int] | None,
    Field(
        description="columns that the others are conditioned on, by name or index; the model is "
        "then the conditional law of the others",
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
        Annotated[
            Literal["positive", "infer"] | tuple[float, float],
            AfterValidator(_interval),
        ],
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
