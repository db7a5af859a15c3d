"""What numbers of a column are: few values, a grid, values that recur, gaps, an end at zero."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from wopt.data.cells import Cells
from wopt.data.column import Column
from wopt.data.quantile_transform import Interval

__all__ = ["FEW", "described", "grid_step", "recurring"]

FEW = 10
"""Largest number of distinct numbers that are a list of values, not a scale."""


def described(column: Column, x: Tensor, missing: int = 0, *, plain: bool = False) -> Column:
    """Return a column of numbers with the support that its values show.

    A few values that repeat are values with a probability each. Other numbers have a density, on a
    grid if they lie on one, beside the values that recur (:func:`recurring`). Where no value is
    negative, or none is positive, zero is an end. A missing value is a value beyond the greatest.

    Args:
        column: The column, whose bounds, if they are finite, are kept.
        x: Its values, shape ``(n,)``, float64, finite, at least one.
        missing: Number of values that are missing.
        plain: Whether nothing but gaps is added to the column as it is.

    Example:
        >>> x = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
        >>> described(Column("rain"), x.clamp(min=0)).words()
        'rain: continuous in [0, inf], often 0'
        >>> described(Column("size"), (x > 0) + 1.0).words()
        'size: 2 values (1, 2)'
    """
    values, counts = torch.unique(x, return_counts=True)
    if plain:
        return _with_cells(column, values, counts, torch.zeros_like(counts) > 0, x, missing)
    if len(values) <= FEW and 2 * len(values) <= len(x):
        return _listed(column, values, counts, missing)
    at_zero = bool((values >= 0).all() or (values <= 0).all()) and not column.bounded
    column = _gridded(column, values)
    often = recurring(counts)
    if at_zero and column.kind == "continuous":
        often |= values == 0
    if bool(often.all()):
        return _listed(column, values, counts, missing)
    if at_zero:
        column = dataclasses.replace(column, bounds=_ends(column, values))
    rest = x[~torch.isin(x, values[often])]
    if column.bounded and math.inf in map(abs, column.bounds):
        column = dataclasses.replace(column, scale=_scale(column, rest))
    return _with_cells(column, values, counts, often, rest, missing)


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


def grid_step(values: Tensor, origin: float, digits: int = 10) -> float | None:
    """Return the largest step whose multiples hold all differences, in few digits; else ``None``.

    Args:
        values: Distinct values, shape ``(k,)``, float64.
        origin: One of the values.
        digits: Significant digits that the values can have.

    Example:
        >>> grid_step(torch.tensor([0.1, 0.3, 1.7]).double(), 0.1)
        0.2
        >>> grid_step(torch.rand(9, generator=torch.Generator().manual_seed(0)).double(), 0.0)
    """
    size = float(values.abs().max())
    exponent = math.floor(math.log10(size)) if size else 0
    for digit in range(digits):
        unit = 10.0 ** (exponent - digit)
        cells = values / unit
        if bool(((cells - cells.round()).abs() < _ROUNDING).all()):
            whole = ((values - origin) / unit).round().long()
            return float(f"{int(np.gcd.reduce(whole.numpy())) * unit:.12g}")
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
    origin = float(values[values.abs().argmin()])
    step = grid_step(values, origin, _DIGITS.get(column.type, _DOUBLE))
    if not step:
        return column
    return dataclasses.replace(column, kind="integer", width=step, origin=origin)


def _ends(column: Column, values: Tensor) -> tuple[float, float]:
    """Return the support of values that are all on one side of zero; zero may be a cell."""
    side = -1.0 if bool((values <= 0).all()) else 1.0
    least = float((side * values).min())
    end = 0.0
    if column.kind != "continuous":
        # The middle of the first cell is the first point of the grid from zero on.
        end = least - column.width * (math.floor(least / column.width + _ROUNDING) + 0.5)
    return (end, math.inf) if side > 0 else (-math.inf, -end)


def _scale(column: Column, x: Tensor) -> float:
    """Return the scale of the map to the line with the greatest likelihood of a normal law."""
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
    return max([*tried, math.inf], key=likelihood)


_ROWS, _TRIED = 10_000, 24
"""Rows at most, and scales, of which one is chosen."""


def _listed(column: Column, values: Tensor, counts: Tensor, missing: int) -> Column:
    """Return a column of nothing but these values."""
    column = dataclasses.replace(_gridded(column, values), bounds=(-math.inf, math.inf))
    if missing:
        values, counts = _gap(values, counts, missing)
        column = dataclasses.replace(column, fill=float(values[-1]))
    width = float(values.diff().min()) if len(values) > 1 else 1.0
    if column.kind != "continuous":
        width = column.width
    masses = (counts.double() + 0.5) / (counts.double() + 0.5).sum()
    cells = Cells(tuple(values.tolist()), tuple(masses.tolist()), width, 0.0, 0.0)
    return dataclasses.replace(column, cells=cells)


def _with_cells(
    column: Column, values: Tensor, counts: Tensor, often: Tensor, rest: Tensor, missing: int
) -> Column:
    """Return a column with a density beside the values that recur and the gaps."""
    if not (missing or bool(often.any())):
        return column
    line = Interval(*column.bounds, column.scale).move(rest) if column.bounded else rest
    width = column.width or _room(values, often)
    cells, number = values[often], counts[often]
    if missing:
        top, many = _gap(values, counts, missing)
        cells = torch.cat([cells, top[-1:]])
        number = torch.cat([number, many[-1:]])
        column = dataclasses.replace(column, fill=float(top[-1]))
    masses = (number.double() + 0.5) / (int(counts.sum()) + missing + 0.5 * len(number) + 0.5)
    spread = float(line.std()) if len(line) > 1 else 0.0
    made = Cells(
        tuple(cells.tolist()), tuple(masses.tolist()), width, float(line.mean()), spread or 1.0
    )
    return dataclasses.replace(column, cells=made)


def _room(values: Tensor, often: Tensor) -> float:
    """Return the width of cells that hold no other value."""
    gaps = values.diff()
    touched = often[1:] | often[:-1]
    span = float(values[-1] - values[0]) or 1.0
    least = float(gaps[touched].min()) if bool(touched.any()) else span
    return min(least / 2, span / 1000)


def _gap(values: Tensor, counts: Tensor, missing: int) -> tuple[Tensor, Tensor]:
    """Return values and counts with that of a missing value, as far beyond as the values span."""
    place = 2 * values[-1] - values[0] if len(values) > 1 else values[-1] + 1
    return torch.cat([values, place[None]]), torch.cat([counts, counts.new_tensor([missing])])
