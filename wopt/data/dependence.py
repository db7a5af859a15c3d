"""Columns in view of the others: those that follow from them, and an order of categories."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data.column import Column, Derived
from wopt.data.columns import Columns
from wopt.statistics import some

_SINGLE = 1e-6
"""Relative rounding of numbers that were kept in single precision and added."""

_NEAR = 1e-3
"""Largest rounding in standard deviations for which a column follows from others."""


def independent_columns(columns: Columns, x: Tensor) -> tuple[Columns, Tensor]:
    """Return the columns that do not follow from others, and their rows, shape ``(n, d')``.

    A column follows from others if it is a linear combination of them in every row, to the rounding
    of the numbers, though the weights are found from half of the rows; or if it names the same
    categories by other words. Conditions stay.

    Args:
        columns: Descriptions of the columns, conditions last.
        x: Rows, shape ``(n, d)``, without noise.
    """
    moved = len(columns.moved)
    found = [*_renamed(columns.moved, x), *_sums(columns.moved, x)]
    if not found:
        return columns, x
    gone = {one.column.name for one in found}
    kept = [j for j, name in enumerate(columns.names) if j >= moved or name not in gone]
    new = dataclasses.replace(
        columns, columns=tuple(columns.columns[j] for j in kept), derived=(*columns.derived, *found)
    )
    return new, x[:, kept]


def relation(y: Tensor, x: Tensor, most: float = math.inf) -> tuple[Tensor, float] | None:
    """Return weights ``(k,)`` and b with y = x w + b in every row; ``None`` if there are none.

    Args:
        y: Shape ``(n,)``, float64, not constant.
        x: Shape ``(n, k)``, float64, linearly independent, none constant.
        most: Largest rounding of y.

    Example:
        >>> x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> w, b = relation(x[:, 0] - 2 * x[:, 1] + 3, x)
        >>> w.tolist(), b
        ([1.0, -2.0], 3.0)
        >>> relation(x[:, 0].square(), x)
    """
    if 2 * x.shape[1] + 2 > len(y):
        return None
    centre, scale, spread = x.mean(0), x.std(0), float(y.std())
    z = torch.cat([(x - centre) / scale, torch.ones_like(y)[:, None]], dim=1)
    solved = torch.linalg.lstsq(z[::2], (y[::2] - y.mean())[:, None]).solution[:, 0]
    solved[solved.abs() < _SINGLE * spread] = 0
    w = solved[:-1] / scale
    size = float(y.abs().max()) + float((w.abs() * x.abs().amax(0)).sum())
    rounding = min(_SINGLE * size, _NEAR * spread, most)

    def intercept(weights: Tensor) -> float | None:
        """Return b for weights, shape ``(d,)``, if y is x w + b but for rounding."""
        rest = y - x @ weights
        middle = float(rest.median())
        b = next((b for d in range(9) if abs((b := round(middle, d)) - middle) < rounding), middle)
        return b if bool(((rest - b).abs() < rounding).all()) else None

    for digits in range(1, 9):
        short = torch.tensor([float(f"{value:.{digits}g}") for value in w.tolist()]).to(w)
        if (b := intercept(short)) is not None:
            return short, b
    b = intercept(w)
    return None if b is None else (w, b)


def _sums(columns: tuple[Column, ...], x: Tensor) -> list[Derived]:
    """Return the columns that are linear combinations of others."""
    numbers = [
        j for j, c in enumerate(columns)
        if c.kind != "categorical" and c.fill is None and float(x[:, j].double().std()) > 0
    ]  # fmt: skip
    kept, found = list[int](), list[Derived]()
    for j in numbers:
        # Values on a grid are rounded to it: what is nearer than half a step is exact.
        most = columns[j].width / 2 or math.inf
        made = relation(x[:, j].double(), x[:, kept].double(), most) if kept else None
        if made is None:
            kept.append(j)
            continue
        total, of, weights, b = _solved(j, kept, *made)
        if total != j:
            kept[kept.index(total)] = j
            found = [_through(one, columns, total, of, weights, b) for one in found]
        found.append(_derived(columns, total, of, weights, b))
    return found


def _solved(
    j: int, kept: list[int], w: Tensor, b: float
) -> tuple[int, list[int], list[float], float]:
    """Return the relation for the column that is a sum of the others, if one is."""
    terms = {i: weight for i, weight in zip(kept, w.tolist(), strict=True) if weight}
    positive = [i for i, weight in terms.items() if weight > 0]
    if len(positive) != 1 or len(terms) == 1:
        return j, list(terms), list(terms.values()), b
    total = positive[0]
    over = terms.pop(total)
    others = [-weight / over for weight in terms.values()]
    return total, [*terms, j], [*others, 1 / over], -b / over


def _through(
    one: Derived, columns: tuple[Column, ...], gone: int, of: list[int], w: list[float], b: float
) -> Derived:
    """Return a relation that names no column that follows from others itself."""
    name = columns[gone].name
    if name not in one.of:
        return one
    terms = dict(zip(one.of, one.weights, strict=True))
    factor = terms.pop(name)
    for i, weight in zip(of, w, strict=True):
        terms[columns[i].name] = terms.get(columns[i].name, 0.0) + factor * weight
    b = one.intercept + factor * b
    why = _words(tuple(terms), tuple(terms.values()), b)
    return dataclasses.replace(
        one, of=tuple(terms), weights=tuple(terms.values()), intercept=b, why=why
    )


def _derived(
    columns: tuple[Column, ...], j: int, of: list[int], weights: list[float], b: float
) -> Derived:
    names = tuple(columns[i].name for i in of)
    return Derived(columns[j], _words(names, tuple(weights), b), names, tuple(weights), b)


def _words(names: tuple[str, ...], weights: tuple[float, ...], b: float) -> str:
    """Return a relation in words.

    Example:
        >>> _words(("men", "women"), (1.0, -2.0), 0.5)
        'equals men - 2 women + 0.5'
    """
    signed = [
        f"{'-' if w < 0 else '+'} {'' if abs(w) == 1 else f'{abs(w):g} '}{name}"
        for name, w in zip(names, weights, strict=True)
    ]
    if b:
        signed.append(f"{'-' if b < 0 else '+'} {abs(b):g}")
    return f"equals {' '.join(signed).removeprefix('+ ')}"


def _renamed(columns: tuple[Column, ...], x: Tensor) -> list[Derived]:
    """Return columns whose values are other names of the categories of an earlier column."""
    found, seen = list[Derived](), list[int]()
    for j, column in enumerate(columns):
        if not column.finite or (column.fill is not None and column.kind != "categorical"):
            continue
        for i in seen:
            values = _names_of(x[:, i], x[:, j], columns[i], column)
            if values is not None:
                why = f"names the categories of {columns[i].name}"
                found.append(Derived(column, why, (columns[i].name,), table=values))
                break
        else:
            if column.kind == "categorical":
                seen.append(j)
    return found


def _names_of(a: Tensor, b: Tensor, first: Column, second: Column) -> tuple[float, ...] | None:
    """Return the value of b for each category of a, if each has one of its own."""
    number = len(second.cells.values) if second.cells is not None else 0
    if number != len(first.categories):
        return None
    pairs = torch.stack([a, b], 1).double().unique(dim=0)
    if len(pairs) != number or len(pairs[:, 1].unique()) != number:
        return None
    return tuple(pairs[:, 1].tolist())


def in_found_order(columns: Columns, x: Tensor, chosen: tuple[str, ...]) -> tuple[Columns, Tensor]:
    """Return columns and rows ``(n, d)`` with categories of chosen columns in a found order.

    A map of codes on a line is simple if neighbours are alike. The order is that of the categories'
    scores in the first canonical correlation of a column with all others: the leading left singular
    vector of

        D^-1/2 H^T F (F^T F / n + I / n)^-1/2,    D = H^T H,

    with H the indicators of the n rows and F the p other columns on the line, and indicators of
    other categories, in standard units. Source: Hastie, Buja, Tibshirani (1995), Penalized
    discriminant analysis, Annals of Statistics.
    """
    few = some(x)
    if not bool(few[:, : len(columns.moved)].isfinite().all()):  # they are refused later
        return columns, x
    features = [_features(column, few[:, j]) for j, column in enumerate(columns.moved)]
    made, rows = list(columns.columns), x
    for j, column in enumerate(columns.moved):
        number = len(column.categories) - (column.fill is not None)
        if column.name not in chosen or number < 3 or len(features) < 2:
            continue
        others = torch.cat([f for i, f in enumerate(features) if i != j], dim=1)
        of = torch.nn.functional.one_hot(few[:, j].long(), len(column.categories)).double()
        share = of.sum(0).clamp(min=1).sqrt()
        n, p = others.shape
        second = (others.T @ others + torch.eye(p, dtype=torch.float64)) / n
        factor = torch.linalg.cholesky(second)
        white = torch.linalg.solve_triangular(factor, others.T @ (of / share), upper=False)
        score = torch.linalg.svd(white)[2][0] / share
        order = torch.cat([score[:number].argsort(), torch.arange(number, len(share))])
        made[j] = _ordered(column, order)
        rows = rows.clone() if rows is x else rows
        rows[:, j] = order.argsort().to(x)[x[:, j].long()]
    return dataclasses.replace(columns, columns=tuple(made)), rows


def _features(column: Column, x: Tensor) -> Tensor:
    """Return a column's indicators or its place on the line, standardised, shape ``(n, k)``."""
    if column.kind == "categorical":
        values = torch.nn.functional.one_hot(x.long(), len(column.categories)).double()
    else:
        values = x.double()[:, None]
        for m in column.maps:
            values = m.move(values)
    spread = values.std(0)
    return (values - values.mean(0)) / spread.where(spread > 0, 1.0)


def _ordered(column: Column, order: Tensor) -> Column:
    """Return a categorical column with its categories in another order."""
    index = order.tolist()
    categories = tuple(column.categories[k] for k in index)
    assert column.cells is not None
    masses = tuple(column.cells.masses[k] for k in index)
    cells = dataclasses.replace(column.cells, masses=masses)
    return dataclasses.replace(column, categories=categories, cells=cells)
