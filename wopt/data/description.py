"""What the columns of a table are, found from their values."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from wopt.data.cells import Cells
from wopt.data.choices import Choices
from wopt.data.column import Column, Derived
from wopt.data.columns import Columns
from wopt.data.kinds import column_support
from wopt.data.quantile_transform import Interval
from wopt.data.refusals import nothing_left
from wopt.data.texts import FEW
from wopt.errors import DataError


def described_columns(
    columns: Columns, x: Tensor, left: tuple[Derived, ...], choices: Choices, origin: str
) -> tuple[Columns, Tensor]:
    """Return the columns as their values show them, and the rows, gaps filled, ``(n, d')``.

    Constants are left out. A kind or a support that was asked for is kept.

    Args:
        columns: Descriptions by types, conditions last.
        x: Rows, shape ``(n, d)``, NaN where a value is missing.
    """
    made, kept = list[Column](), list[int]()
    derived = list(left)
    rows, moved = x, len(columns.moved)
    for j, column in enumerate(columns.columns):
        column = _asked(column, x[:, j], choices, j < moved, origin)
        values = x[:, j].double()
        if j < moved and choices.columns is None and _constant(values):
            derived.append(Derived(column, "does not vary", intercept=float(values[0])))
            continue
        if j < moved:
            column = _of_values(column, values, choices)
        if column.cells is not None:
            rows = x.double().clone() if rows is x else rows
            if column.fill is not None:
                rows[:, j] = torch.where(values.isnan(), column.fill, values)
        made.append(column)
        kept.append(j)
    if len(made) == columns.condition:
        raise nothing_left(((one.column.name, one.why) for one in derived), origin)
    new = Columns(tuple(made), columns.condition, tuple(derived), columns.order)
    return new, rows if len(kept) == x.shape[1] else rows[:, kept]


def blame(missing: Tensor, names: tuple[str, ...]) -> str:
    """Return which column costs the most rows.

    Args:
        missing: Whether a value is missing, shape ``(n, d)``.

    Example:
        >>> blame(torch.tensor([[True, False], [True, False], [False, True]]), ("a", "b"))
        'without `a` 67 % of the rows are complete, with it 0 %'
    """
    gaps = missing.sum(1)
    now = float((gaps == 0).double().mean())
    alone = ((gaps[:, None] - missing.long()) == 0).double().mean(0)
    j = int(alone.argmax())
    return (
        f"without `{names[j]}` {float(alone[j]):.0%} of the rows are complete, with it {now:.0%}"
    ).replace("%", " %")


def _constant(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def _asked(column: Column, x: Tensor, choices: Choices, moved: bool, origin: str) -> Column:
    """Return a column with the support that was asked for."""
    wishes = choices.support or {}
    wish = wishes.get(column.name, wishes.get("*"))
    if column.name in wishes and (column.kind == "categorical" or not moved):
        what = "categorical" if moved else "a condition"
        raise DataError(f"{origin}: support: {column.name!r} is {what} and has none; leave it out")
    if wish is None or not moved or column.kind == "categorical":
        return column
    bounds = column_support(x, column, wish, origin)
    return dataclasses.replace(column, bounds=bounds)


def _of_values(column: Column, x: Tensor, choices: Choices) -> Column:
    """Return a column with cells, a grid and an end, where its values show them."""
    known = x[~x.isnan()]
    missing = (len(x) - len(known)) * (choices.nan == "model")
    if column.kind == "categorical":
        return _categories(column, known, missing)
    asked = column.name in (choices.kinds or {}) or column.name in (choices.support or {})
    plain = asked or bool(choices.dequantise) or not bool(torch.isfinite(known).all())
    if not missing and (plain or _constant(known)):
        return column
    return described(column, known, missing, plain=plain)


def _categories(column: Column, codes: Tensor, missing: int) -> Column:
    """Return categories with their probabilities; that a value is missing is one of them."""
    categories, fill = column.categories, None
    counts = torch.bincount(codes.long(), minlength=len(categories))
    if missing:
        categories, fill = (*categories, None), float(len(categories))
        counts = torch.cat([counts, counts.new_tensor([missing])])
    bounds = (-0.5, len(categories) - 0.5)
    column = dataclasses.replace(column, categories=categories, bounds=bounds, fill=fill)
    return _with_cells(column, torch.arange(len(counts)).double(), counts, 1.0, codes[:0])


def described(column: Column, x: Tensor, missing: int = 0, *, plain: bool = False) -> Column:
    """Return a column of numbers with the support that its values show.

    A few values that repeat are values with a probability each. Other numbers have a density, on a
    grid if they lie on one, beside the values that recur (:func:`recurring`). Where no value is
    negative, or none is positive, zero is an end. A missing value is a value beyond the greatest.

    Args:
        column: The column, whose bounds, if they are finite, are kept.
        x: Its values, shape ``(n,)``, float64, finite, at least one.
        plain: Whether nothing but gaps is added to the column as it is.

    Example:
        >>> x = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
        >>> described(Column("rain"), x.clamp(min=0)).words()
        'rain: continuous in [0, inf], often 0'
        >>> described(Column("size"), (x > 0) + 1.0).words()
        'size: 2 values (1, 2)'
    """
    values, counts = torch.unique(x, return_counts=True)
    often, rest = torch.zeros_like(counts, dtype=torch.bool), x
    if not plain:
        one_side = bool((values >= 0).all() or (values <= 0).all()) and not column.bounded
        column = _gridded(column, values)
        few = len(values) <= FEW and 2 * len(values) <= len(x)
        often = counts > 0 if few else recurring(counts)
        if one_side and column.kind == "continuous":
            often |= values == 0
        rest = x[~torch.isin(x, values[often])]
        if not len(rest):
            column = dataclasses.replace(column, bounds=(-math.inf, math.inf))
        elif one_side:
            column = dataclasses.replace(column, bounds=_ends(column, values))
        if column.bounded and math.inf in map(abs, column.bounds):
            least = _least(column, rest) if one_side else 0.0
            column = dataclasses.replace(column, scale=_scale(column, rest), least=least)
    if not missing and not bool(often.any()):
        return column
    width = column.width or _room(values, often)
    cells, number = values[often], counts[often]
    if missing:
        gap = 2 * values[-1] - values[0] if len(values) > 1 else values[-1] + 1
        cells = torch.cat([cells, gap[None]])
        number = torch.cat([number, number.new_tensor([missing])])
        column = dataclasses.replace(column, fill=float(gap))
    return _with_cells(column, cells, number, width, rest)


def _with_cells(
    column: Column, values: Tensor, counts: Tensor, width: float, rest: Tensor
) -> Column:
    """Return a column with values of a probability each, beside the density of the rest."""
    total = int(counts.sum()) + len(rest) + 0.5 * (len(values) + bool(len(rest)))
    masses = (counts.double() + 0.5) / total
    mean = scale = 0.0
    if len(rest):
        bounds = (*column.bounds, column.scale, column.least)
        line = Interval(*bounds).move(rest) if column.bounded else rest
        mean, scale = float(line.mean()), (float(line.std()) if len(line) > 1 else 0.0) or 1.0
    cells = Cells(tuple(values.tolist()), tuple(masses.tolist()), width, mean, scale)
    return dataclasses.replace(column, cells=cells)


def _room(values: Tensor, often: Tensor) -> float:
    """Return the width of cells that hold no other value."""
    gaps = values.diff()
    if bool(often.all()):
        return float(gaps.min()) if len(gaps) else 1.0
    touched = often[1:] | often[:-1]
    span = float(values[-1] - values[0]) or 1.0
    least = float(gaps[touched].min()) if bool(touched.any()) else span
    return min(least / 2, span / 1000)


def recurring(counts: Tensor) -> Tensor:
    """Return which values recur more often than their neighbours show, shape ``(k,)``.

    A value of c rows has an expected number e of rows, the mean of its nearest neighbours that do
    not recur. It recurs if a probability of its own gains more than its price, by the likelihood
    of a Poisson law against BIC for one value chosen among k:

        c log(c / e) - (c - e) > log n / 2 + log k.

    Args:
        counts: Numbers of rows of the distinct values in increasing order, shape ``(k,)``.

    Example:
        >>> recurring(torch.tensor([50, 1, 2, 1, 1])).tolist()
        [True, False, False, False, False]
    """
    price = 0.5 * math.log(int(counts.sum())) + math.log(len(counts))
    often = torch.zeros(len(counts), dtype=torch.bool)
    c = counts.double()
    while not bool(often.all()):
        known = (~often).nonzero()[:, 0]
        at = torch.arange(len(c))
        place = torch.searchsorted(known, at)
        below = (place - 1).clamp(min=0)
        above = torch.searchsorted(known, at, right=True).clamp(max=len(known) - 1)
        low, high = c[known[below]], c[known[above]]
        low = torch.where(known[below] < at, low, high)
        expected = (low + torch.where(known[above] > at, high, low)) / 2
        gain = c * (c / expected).log() - (c - expected)
        found = (c > expected) & (gain > price) & ~often
        if not bool(found.any()):
            break
        often |= found & (c == c[found].max())
    return often


def grid_step(values: Tensor, origin: float, digits: int = 10) -> tuple[float, float] | None:
    """Return the largest step whose multiples hold all differences, in few digits; else ``None``.

    The origin is returned too, without the rounding of its type.

    Args:
        values: Distinct values, shape ``(k,)``, float64.
        digits: Significant digits that the values can have.

    Example:
        >>> grid_step(torch.tensor([0.1, 0.3, 1.7]).double(), 0.1)
        (0.2, 0.1)
        >>> grid_step(torch.rand(9, generator=torch.Generator().manual_seed(0)).double(), 0.0)
    """
    size = float(values.abs().max())
    exponent = math.floor(math.log10(size)) if size else 0
    for digit in range(digits):
        unit = 10.0 ** (exponent - digit)
        cells = values / unit
        if bool(((cells - cells.round()).abs() < _ROUNDING).all()):
            whole = ((values - origin) / unit).round().long()
            points = int(np.gcd.reduce(whole.numpy())), round(origin / unit)
            step, point = (float(f"{count * unit:.12g}") for count in points)
            return step, point
    return None


_ROUNDING = 0.01
"""Distance from a whole number, in steps, that is rounding."""

_DIGITS = {"float": 5, "halffloat": 3}
"""Significant digits of values by type."""

_DOUBLE = 10


def _gridded(column: Column, values: Tensor) -> Column:
    """Return the column on its grid, if it has one."""
    if column.kind == "categorical" or column.bounded:
        return column
    origin, digits = float(values[values.abs().argmin()]), _DIGITS.get(column.type, _DOUBLE)
    step, point = grid_step(values, origin, digits) or (0.0, 0.0)
    if not step:
        return column
    return dataclasses.replace(column, kind="integer", width=step, origin=point)


def _ends(column: Column, values: Tensor) -> tuple[float, float]:
    """Return the support of values that are all on one side of zero; zero may be a cell."""
    side = -1.0 if bool((values <= 0).all()) else 1.0
    least = abs(column.origin) or float((side * values).min())
    end = 0.0
    if column.kind != "continuous":
        # The middle of the first cell is the first point of the grid from zero on.
        end = least - column.width * (math.floor(least / column.width + _ROUNDING) + 0.5)
        end = float(f"{end:.12g}")
    return (end, math.inf) if side > 0 else (-math.inf, -end)


def _least(column: Column, x: Tensor) -> float:
    """Return the distance to the end within which none of n values, or their noise, lies.

    Uniform noise of m values in a cell of width w comes as near as w/(m + 1) to the cell's end.
    """
    low, high = column.bounds
    away = (x - low) if math.isfinite(low) else (high - x)
    nearest = away.min()
    width = column.width
    count = int((away <= nearest).sum())
    return max(float(nearest) - width / 2, 0.0) + width / (count + 1)


def _scale(column: Column, x: Tensor) -> float:
    """Return the scale of the map to the line: the least, or one more likely by BIC's price.

    The likelihood is that of a normal law. The least scale bends nothing, so that relations with
    other columns stay straight.
    """
    x = x[:_ROWS]
    low, high = column.bounds
    away = (x - low) if math.isfinite(low) else (high - x)
    x, away = x[away > 0], away[away > 0]
    if len(x) < 2:
        return math.inf
    first, last = math.log(float(away.min())), math.log(float(away.max()))

    def likelihood(scale: float) -> float:
        y, log_slope = Interval(low, high, scale)(x)
        return float(log_slope.mean() - y.std().clamp_min(1e-300).log())

    tried = [math.exp(first + (last - first) * k / _TRIED) for k in range(_TRIED + 1)]
    # Beyond the data a law is linear: a logarithm makes 10^9 of a tail that is heavy on the line.
    best = max([*tried, math.exp(last) * math.sqrt(len(x))], key=likelihood)
    gain = len(x) * (likelihood(best) - likelihood(tried[0]))
    return best if gain > math.log(len(x)) / 2 else tried[0]


_ROWS, _TRIED = 10_000, 24
"""Rows at most, and scales, of which one is chosen."""
