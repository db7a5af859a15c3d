"""Distances of two samples by their projections on lines, with sorting instead of pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.seeds import generator


def sliced_energy_distance(x: Tensor, y: Tensor, projections: int = 100, seed: int = 0) -> float:
    """Return  E|X - Y| - E|X - X'|/2 - E|Y - Y'|/2  of two samples, without pairs.

    On a line it is the integral of (F_x - F_y)^2, and |z| is a mean of |<u, z>| over directions u,
    times a constant of the dimension; here the mean is over random directions. For two samples of
    one law, of n and m rows, its expectation is (1/n + 1/m) E|X - X'|/2. The unit is that of x.

    Args:
        x: Rows, shape ``(n, d)``.
        y: Rows, shape ``(m, d)``.
        projections: Number of directions.
        seed: Seed of the directions.

    Source: Szekely, Rizzo, *Energy statistics*, 2013; Hertrich, Wald, Altekrueger, Hagemann,
    *Generative sliced MMD flows with Riesz kernels*, 2024.

    Example:
        >>> x = torch.zeros(3, 3).double()
        >>> y = x + torch.tensor([2.0, 0.0, 0.0])
        >>> round(sliced_energy_distance(x, y, 20_000), 1)  # |x - y| for points
        2.0
    """
    x, y, d = x.double(), y.double(), x.shape[1]
    total = 0.0
    for u in _directions(d, projections, seed):
        values, order = torch.cat([x @ u, y @ u]).sort()
        ours = (order < len(x)).double()
        gap = ours.cumsum(0) / len(x) - (1 - ours).cumsum(0) / len(y)
        total += float(gap[:-1].square() @ values.diff())
    # E|<u, z>| of a unit vector z is Gamma(d/2) / (sqrt(pi) Gamma((d + 1)/2)).
    factor = math.sqrt(math.pi) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    return factor * total / projections


def sliced_w2(x: Tensor, y: Tensor, projections: int = 100, seed: int = 0) -> float:
    """Return the root mean square over directions of W2 of the projections of two samples.

    The unit is that of x.

    Args:
        x: Rows, shape ``(n, d)``.
        y: Rows, shape ``(m, d)``.
        projections: Number of directions.
        seed: Seed of the directions.

    Source: Bonneel, Rabin, Peyre, Pfister, *Sliced and Radon Wasserstein barycenters*, 2015.

    Example:
        >>> x = torch.randn(500, 1).double()
        >>> round(sliced_w2(x, x + 3), 6)
        3.0
    """
    x, y = x.double(), y.double()
    n = max(len(x), len(y))
    ranks = [((torch.arange(n) + 0.5) / n * len(z)).long() for z in (x, y)]
    total = 0.0
    for u in _directions(x.shape[1], projections, seed):
        a, b = ((z @ u).sort().values[rank] for z, rank in zip((x, y), ranks, strict=True))
        total += float((a - b).square().mean())
    return math.sqrt(total / projections)


def _directions(d: int, count: int, seed: int) -> Tensor:
    u = torch.randn(count, d, generator=generator(seed, "directions"), dtype=torch.float64)
    return u / u.norm(dim=1, keepdim=True)
