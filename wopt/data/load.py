"""From a table as people have it to a dataset, with weights of its rows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from torch import Tensor

from wopt.data.assembly import assemble
from wopt.data.choices import Choices, filtered
from wopt.data.column import Column, Derived
from wopt.data.columns import Columns
from wopt.data.dataset import Dataset, TableFacts, check_finite, split
from wopt.data.dependence import in_found_order, independent_columns
from wopt.data.description import blame, described_columns
from wopt.data.kinds import column_of, gridded, numbers_of
from wopt.data.refusals import nothing_left
from wopt.data.rows import masked
from wopt.data.tables import floats, is_numeric
from wopt.data.texts import is_text
from wopt.data.times import is_time, seconds
from wopt.data.transform import How
from wopt.errors import DataError
from wopt.seeds import generator

_FEWEST = 20
"""Least number of rows in a split."""


def check_weights(w: Tensor, name: str) -> None:
    """Raise unless weights, shape ``(n,)``, are finite, non-negative and not all zero."""
    bad = ~torch.isfinite(w) | (w < 0)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        raise DataError(
            f"weights {name!r}: {int(bad.sum())} of {len(w)} are negative, missing or infinite, "
            f"first in row {row} ({float(w[row]):g}); a weight is a number from 0 on"
        )
    if not float(w.sum()) > 0:
        raise DataError(f"weights {name!r}: all are zero, so no row counts")


def resampled(w: Tensor, rng: torch.Generator) -> Tensor:
    """Return ``n`` row numbers, row i about ``n w_i / sum w`` times, by systematic resampling.

    The number is rounded up or down at random, so it adds little noise, and its mean is exact.

    Args:
        w: Weights, shape ``(n,)``.

    Example:
        >>> w = torch.tensor([1.0, 2.0, 1.0, 0.0])
        >>> resampled(w, torch.Generator().manual_seed(0)).tolist()
        [0, 1, 1, 2]
    """
    ends = torch.cumsum(w.double(), 0) / w.double().sum()
    shift = torch.rand((), generator=rng, dtype=torch.float64)
    levels = (torch.arange(len(w), dtype=torch.float64) + shift) / len(w)
    # Rounding may leave the last end below one; a level beyond it belongs to the last row.
    last = int(w.nonzero()[-1, 0])
    return torch.searchsorted(ends, levels, right=True).clamp(max=last)


def thinned_rows(w: Tensor, rng: torch.Generator, what: str) -> Tensor:
    """Return row numbers, shape ``(m,)``, each kept with probability ``w_i / max w``, w ``(n,)``.

    Those kept are independent draws of the weighted law, so standard errors over them are right.
    """
    kept = (torch.rand(len(w), generator=rng, dtype=torch.float64) * w.max() < w).nonzero()[:, 0]
    if len(kept) < min(_FEWEST, len(w)):
        raise DataError(
            f"{len(kept)} of {len(w)} rows of the {what} split are left by the weights (each is "
            f"kept in proportion to its own), and at least {_FEWEST} are needed; give more rows, a "
            "larger share of them to this split (`split`), or cap the largest weights"
        )
    return kept


@dataclasses.dataclass(frozen=True)
class TableRows:
    """A table as numbers: the rows that are used, with descriptions of their columns.

    Attributes:
        x: Rows, shape ``(n, d)``, conditions last; float64, or float32 if the table is; integers
            and codes are without noise.
        columns: Descriptions of the d columns.
        weights: Sample weights, shape ``(n,)``, or ``None``.
        facts: What was read and what was left out.
    """

    x: Tensor
    columns: Columns
    weights: Tensor | None = None
    facts: TableFacts | None = None


def from_table(
    table: Any,
    choices: Choices,
    fractions: tuple[float, float, float],
    preprocess: How,
    seed: int,
    origin: str,
) -> Dataset:
    """Make a dataset of an Arrow table.

    Raises:
        DataError: The data cannot be used; the message says why and what to do.

    Example:
        >>> import pyarrow
        >>> from wopt.data.choices import Choices
        >>> table = pyarrow.table({"age": list(range(20, 60)), "sex": ["f", "m"] * 20})
        >>> data = from_table(table, Choices(), (0.5, 0.25, 0.25), "whiten", 0, "people.csv")
        >>> [column.kind for column in data.transform.columns.columns]
        ['integer', 'categorical']
    """
    rows = [chosen_rows(table, choices, origin)]
    del table  # it may take half of the memory
    return to_dataset(rows.pop(), fractions, preprocess, seed)


def chosen_rows(table: Any, choices: Choices, origin: str) -> TableRows:
    """Return the rows and columns of an Arrow table that are used, as numbers ``(n, d)``.

    Raises:
        DataError: A column is missing or cannot be used, or values are missing.
    """
    choices.check(table.column_names, origin)
    if choices.time is not None and choices.at is not None:
        table = filtered(table, f"`{choices.time}` == {choices.at!r}", origin)
    if choices.where is not None:
        table = filtered(table, choices.where, origin)
    names, given = choices.chosen(table.column_names, origin)
    order = [*(j for j in range(len(names)) if j not in given), *given]
    read, left = _read_all(table, tuple(names[j] for j in order), len(given), choices, origin)
    x = torch.stack([values for _, values in read], dim=1)
    columns = Columns(tuple(column for column, _ in read), len(given), order=names)
    texts = tuple(field.name for field in table.schema if is_text(field.type))
    weights = None if choices.weights is None else _weights(table, choices.weights, origin)
    facts = TableFacts(len(x), left)
    if choices.nan == "drop":
        x, weights, facts = _whole_rows(x, weights, columns.names, facts, origin)
    if weights is not None:
        x, weights = x[weights > 0], weights[weights > 0]
    columns, x = described_columns(columns, x, left, choices, origin)
    columns, x = in_found_order(columns, x, texts)
    if choices.columns is None:
        columns, x = independent_columns(columns, x)
    if choices.nan in ("mask", "model"):
        columns, x = masked(columns, x, table.column_names, origin)
    check_finite(x, columns.names, origin)
    if not columns.derived:
        columns = dataclasses.replace(columns, order=())
    converted = tuple((c.name, what) for c in columns.columns if (what := _converted(c)))
    facts = dataclasses.replace(facts, left=columns.derived, converted=converted)
    return TableRows(x, columns, weights, facts)


def _converted(column: Column) -> str:
    """Return what numbers of a column count, if its values were none."""
    if is_time(column.type):
        return "seconds" if seconds(column) == 1 else "days"
    return "numbers" if column.type == "string" and column.kind != "categorical" else ""


def _whole_rows(
    x: Tensor, weights: Tensor | None, names: tuple[str, ...], facts: TableFacts, origin: str
) -> tuple[Tensor, Tensor | None, TableFacts]:
    """Return the rows without missing values, and what is known of those that were dropped."""
    missing = ~torch.isfinite(x)
    whole = ~missing.any(1)
    if not whole.any():
        raise DataError(
            f"{origin}: all {len(x)} rows have a NaN or infinite value, so dropping them "
            f"leaves none; {blame(missing, names)}: choose other `columns`"
        )
    notes = () if whole.all() else (blame(missing, names),)
    facts = dataclasses.replace(facts, dropped=int((~whole).sum()), notes=notes)
    return x[whole], None if weights is None else weights[whole], facts


def to_dataset(
    rows: TableRows, fractions: tuple[float, float, float], preprocess: How, seed: int
) -> Dataset:
    """Spread discrete columns over their cells, split, apply weights, fit the preprocessing."""
    x, columns, facts = rows.x, rows.columns, rows.facts
    noisy = columns.jitter(x, generator(seed, "source", "noise"))
    if rows.weights is not None:
        noisy = torch.cat([noisy, rows.weights[:, None]], dim=1)
    splits = split(noisy, fractions, seed)
    if rows.weights is not None:
        splits = _weighted(splits, seed)
    if len(splits[0]) < 2:
        raise DataError(f"{len(x)} row(s) leave one for training; give more data")
    del rows, x, noisy
    made = assemble(splits, preprocess, columns.names, columns=columns)
    return dataclasses.replace(made, table=facts)


def _read_all(
    table: Any, names: tuple[str, ...], condition: int, choices: Choices, origin: str
) -> tuple[list[tuple[Column, Tensor]], tuple[Derived, ...]]:
    """Read every column; the error names all that cannot be used, with the reasons."""
    read, left, refused, single = [], list[Derived](), list[str](), _single(table, choices)
    for j, name in enumerate(names):
        last = j >= len(names) - condition
        try:
            made = _read(table.column(name), name, choices, origin, last, single)
        except DataError as error:
            refused.append(str(error).removeprefix(f"{origin}: "))
            continue
        if isinstance(made, Derived):
            left.append(made)
        else:
            read.append(made)
    kept = [column.name for column, _ in read]
    hint = f"; those that can be used: columns = {json.dumps(kept)}" if kept else ""
    given = names[len(names) - condition :]
    wrong = [f"column {c.column.name!r} {c.why}" for c in left if c.column.name in given]
    if refused or wrong:
        text = "; ".join((*refused, *wrong))
        raise DataError(f"{origin}: {text}{hint if choices.columns is None else ''}")
    if not kept:
        raise nothing_left(((one.column.name, one.why) for one in left), origin)
    return read, tuple(left)


def _single(table: Any, choices: Choices) -> bool:
    """Whether a table is in single precision and is split without other changes."""
    plain = not (choices.kinds or choices.dequantise or choices.support or choices.nan == "mask")
    return plain and all(str(kind) == "float" for kind in table.schema.types)


def _read(
    values: Any, name: str, choices: Choices, origin: str, given: bool, single: bool
) -> tuple[Column, Tensor] | Derived:
    wished = (choices.kinds or {}).get(name)
    if wished is None and choices.dequantise and is_numeric(values.type):
        wished = "continuous"
    column = column_of(name, values, wished, origin)
    if isinstance(column, Derived):
        return column
    x = numbers_of(column, values, origin, single=single)
    if choices.dequantise and not given and column.kind == "continuous":
        column = gridded(column, x, choices.dequantise)
    return column, x


def _weights(table: Any, name: str, origin: str) -> Tensor:
    values = table.column(name)
    if not is_numeric(values.type):
        raise DataError(f"{origin}: weights {name!r} are {values.type}, not numbers")
    w = torch.from_numpy(floats(values).copy())
    check_weights(w, name)
    return w


def _weighted(splits: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
    """Draw the rows of each split by their weights, the last column, which is removed."""
    drawn = []
    for part, what in zip(splits, ("training", "validation", "test"), strict=True):
        rng = generator(seed, "source", "weights", what)
        w = part[:, -1]
        chosen = resampled(w, rng) if what == "training" else thinned_rows(w, rng, what)
        drawn.append(part[chosen, :-1])
    return tuple(drawn)
