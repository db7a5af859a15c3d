"""Which preprocessing suits columns, by their tails: a line each, or a curve."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from torch import Tensor

from wopt.data.dataset import Dataset
from wopt.data.quantile_transform import normal_log_density
from wopt.data.table_transform import through_quantiles
from wopt.data.transform import AffineTransform
from wopt.plan.facts import dependent, straight
from wopt.statistics import Mean, mean_and_error

__all__ = [
    "bends",
    "gain_of_curves",
    "gain_of_distances",
    "preprocess_of",
    "tail_weight",
    "without_curves",
]

_OUTERMOST = 0.001
"""Fraction of the rows on either side."""


def tail_weight(x: Tensor) -> float:
    """Return the span of the outermost rows over that of the middle half, largest over columns.

        (q(0.999) - q(0.001)) / (q(0.75) - q(0.25)),

    which no shift or scale changes: 4.6 for a normal law, 9 for Laplace's, 15 for a log-normal one,
    27 for Student's with two degrees of freedom, the first without a variance, and 318 for
    Cauchy's. A column whose middle half is one value has no such scale, and counts as 0.

    Args:
        x: Encoded rows, each column on the whole line, shape ``(n, d)``.

    Example:
        >>> import torch
        >>> u = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:, None]
        >>> round(tail_weight(torch.special.ndtri(u)), 1), round(tail_weight(u.log()), 1)
        (4.6, 6.3)
    """
    ordered, last = x.double().sort(0).values, len(x) - 1
    low, high = (ordered[round(p * last)] for p in (_OUTERMOST, 1 - _OUTERMOST))
    first, third = (ordered[round(p * last)] for p in (0.25, 0.75))
    weights = ((high - low) / (third - first)).nan_to_num(0.0, posinf=0.0)
    return float(weights.max())


_ROWS = 5000
"""Held-out rows at most on which curves are compared."""

_HEAVY = 50.0
"""Tail weight beyond which columns have curves whatever the comparison of means says: it lies
between laws without a variance and tables with heavy tails (docs/benchmarks.md)."""

_PLANE = 0.4
"""Nats per column that curves have to gain in the plane, whose nets have enough bins otherwise."""


def preprocess_of(rows: int, x: Tensor) -> Literal["whiten", "standardise"]:
    """Return how columns are to be preprocessed: whitened, where their covariance allows it.

    Args:
        rows: Number of training rows.
        x: Untransformed rows, shape ``(n, d)``.
    """
    whole = rows >= 3 * x.shape[1] and x.shape[1] > 1 and not dependent(x)
    return "whiten" if whole else "standardise"


def bends(dataset: Dataset) -> bool:
    """Return whether curves suit the rows, given that some columns have one.

    Two laws that need no training are compared on held-out rows: independent normal columns after
    the curves (:func:`gain_of_curves`), and one law of the radius for all directions
    (:func:`gain_of_distances`), which curves would hide from the nets. Where a column's tails are
    as heavy as those of laws without a variance, curves suit: whitening by a covariance that does
    not exist puts nearly all rows into one place, and one held-out row decides a mean.

    Args:
        dataset: A dataset preprocessed by ``gaussianise``.
    """
    moved = dataset.dim - dataset.condition
    if _heavy(dataset):
        return True
    least = _PLANE * moved if moved <= 2 else 0.0
    return gain_of_curves(dataset).value > max(least, gain_of_distances(dataset).value)


def gain_of_curves(dataset: Dataset) -> Mean:
    """Return the nats per row that curves gain  z ~ N(0, I)  on held-out rows.

    Args:
        dataset: A dataset preprocessed by ``gaussianise``.

    Example:
        >>> import torch
        >>> from wopt.data.assembly import assemble
        >>> x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> data = assemble(x.exp().split([1600, 200, 200]), "gaussianise")
        >>> gain_of_curves(data).value > max(1, gain_of_distances(data).value)
        True
    """
    judges = dataset.valid[:_ROWS].double()
    curved, lines = (_log_density(t, judges) for t in (dataset.transform, straight(dataset)))
    return mean_and_error(curved - lines)


def gain_of_distances(dataset: Dataset) -> Mean:
    """Return the nats per row that a spherical law of whitened rows gains over N(0, I).

        p(z) = p_R(|z|) |z|^(1-d) / area of the sphere,

    with the law of log R estimated by its quantiles, on held-out rows.

    Args:
        dataset: A dataset preprocessed by ``gaussianise``.
    """
    whitened, moved = straight(dataset), dataset.dim - dataset.condition
    known, judges = (
        whitened.move(x[:rows].double())[:, :moved].norm(dim=1).clamp_min(1e-300).log()
        for x, rows in ((dataset.train, 4 * _ROWS), (dataset.valid, _ROWS))
    )
    curve = through_quantiles(known.sort().values)
    if curve is None:
        return Mean(0.0, 0.0)
    area = math.log(2) + moved / 2 * math.log(math.pi) - math.lgamma(moved / 2)
    normal = -0.5 * (judges.exp().square() + moved * math.log(2 * math.pi))
    return mean_and_error(curve.log_density(judges) - moved * judges - area - normal)


def without_curves(dataset: Dataset) -> Dataset:
    """Return the dataset with whitening as its only preprocessing.

    Args:
        dataset: A dataset preprocessed by ``gaussianise``.
    """
    return dataclasses.replace(dataset, transform=straight(dataset))


def _heavy(dataset: Dataset) -> bool:
    """Return whether a column that has a curve is as heavy-tailed as laws without a variance."""
    columns = dataset.transform.columns
    if columns is None:
        return False
    bent = [j for j, column in enumerate(columns.moved) if column.curve is not None]
    line = columns.straight().encode(dataset.train[: 4 * _ROWS].double())
    return bool(bent) and tail_weight(line[:, bent]) > _HEAVY


def _log_density(transform: AffineTransform, x: Tensor) -> Tensor:
    z, log_det = transform(x)
    return normal_log_density(z[:, : x.shape[1] - transform.condition]).sum(1) + log_det
