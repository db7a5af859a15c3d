"""An order of categories, so that neighbours are alike in the other columns."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.data.columns import Column, Columns
from wopt.statistics import some

__all__ = ["in_found_order"]


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
