"""Means over independent draws, with their standard errors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_ENOUGH = 2**17
"""Number of rows that suffices for means and covariances."""


def some(x: Tensor) -> Tensor:
    """Return enough rows for moments, shape ``(m, ...)``: all, or evenly spaced ones."""
    return x[:: stride(len(x))]


def stride(n: int) -> int:
    """Return the stride k of :func:`some` for n rows."""
    return max(1, math.ceil(n / _ENOUGH))


def normal_log_prob(x: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """Return log N(x; m, L L^T), shape ``(n, d)`` to ``(n,)``, nats.

    torch's ``MultivariateNormal`` imports sympy, which is slow.

    Args:
        x: Points, shape ``(n, d)``.
        mean: Mean m, shape ``(d,)``.
        factor: Factor L, lower triangular, shape ``(d, d)``.

    Example:
        >>> law = normal_log_prob(torch.zeros(1, 2), torch.zeros(2), 2 * torch.eye(2))
        >>> round(float(law), 4)  # -log(2 pi) - log 4
        -3.2242
    """
    white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
    constant = factor.diagonal().log().sum() + len(mean) / 2 * math.log(2 * math.pi)
    return -white.square().sum(0) / 2 - constant


def symmetric_power(matrix: Tensor, exponent: float) -> Tensor:
    """Return a power of a symmetric matrix ``(d, d)`` without negative eigenvalues.

    Eigenvalues that are zero up to rounding stay zero, as in a pseudo-inverse.

    Example:
        >>> symmetric_power(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), -0.5).tolist()
        [[0.5, 0.0], [0.0, 0.0]]
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    least = len(matrix) * torch.finfo(matrix.dtype).eps * values[-1]
    powers: Tensor = vectors * torch.where(values > least, values**exponent, 0) @ vectors.mT
    return powers


def optimal_slope(covariance: Tensor, image: Tensor) -> Tensor:
    """Return the slope ``(d, d)`` of the optimal map from N(0, C) to N(0, S), from C and S.

        A = C^-1/2 (C^1/2 S C^1/2)^1/2 C^-1/2,  symmetric and positive,  A C A = S.

    Source: Gelbrich, *On a formula for the L2 Wasserstein metric between measures on Euclidean and
    Hilbert spaces*, 1990.

    Example:
        >>> optimal_slope(torch.eye(1), 9 * torch.eye(1)).tolist()
        [[3.0]]
    """
    root, back = symmetric_power(covariance, 0.5), symmetric_power(covariance, -0.5)
    return back @ symmetric_power(root @ image @ root, 0.5) @ back


class Mean(NamedTuple):
    """A mean and its standard error.

    Attributes:
        value: The mean.
        error: Its standard error over independent draws; zero for quadrature nodes, which are not
            random; NaN for a single draw.
    """

    value: float
    error: float


def mean_and_error(values: Tensor, weights: Tensor | None = None) -> Mean:
    """Return the mean of ``values``, shape ``(n,)``, and its standard error  s / sqrt(n).

    Args:
        values: Values of draws, shape ``(n,)``; s is their standard deviation, with n - 1 degrees
            of freedom. The arithmetic is done in their dtype.
        weights: Weights of quadrature nodes, shape ``(n,)``, summing to one; ``None`` for equally
            likely draws.

    Example:
        >>> import torch
        >>> mean_and_error(torch.tensor([1.0, 2.0, 3.0, 6.0])).value
        3.0
        >>> mean_and_error(torch.tensor([1.0, 2.0]), torch.tensor([0.25, 0.75]))
        Mean(value=1.75, error=0.0)
    """
    if weights is not None:
        return Mean(float(weights.to(values) @ values), 0.0)
    spread = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Mean(float(values.mean()), spread)


def mixing_weights(log_densities: Tensor, prior: float = 0.0) -> Tensor:
    """Return the likeliest weights of a mixture of known laws, shape ``(k,)``, by EM.

    Args:
        log_densities: Log-density of each row by each law, shape ``(n, k)``, nats.
        prior: Number of further rows of each law, of which it is known that they are its.

    Example:
        >>> import torch
        >>> mixing_weights(torch.tensor([[0.0, -50.0], [0.0, -50.0], [-50.0, 0.0]])).mul(3).round()
        tensor([2., 1.])
    """
    n, k = log_densities.shape
    scaled = (log_densities - log_densities.amax(1, keepdim=True)).exp()
    weights = log_densities.new_full((k,), 1 / k)
    for _ in range(_ITERATIONS):
        rows = weights * (1 / (scaled @ weights) @ scaled)
        weights = (rows + prior) / (n + k * prior)
    return weights


_ITERATIONS = 200
"""Steps of EM for weights, a concave problem in few numbers."""


def even_power(log_weights: Tensor, least: float, shares: Tensor | None = None) -> float:
    """Return the largest a in (0, 1] at which weights w^a have a relative effective size.

        (E w^a)^2 / E w^(2a) >= least,    E over the draws of finite log w.

    From one temperature b of a path q^(1-b) p^b to the next,  w = (p/q)^(1-b)  leads to
    b + (1 - b) a.

    Args:
        log_weights: log w, nats, shape ``(n,)``.
        least: Least relative effective size, below one.
        shares: Weights of quadrature nodes, shape ``(n,)``; ``None`` for equally likely draws.

    Source: Del Moral, Doucet, Jasra, *An adaptive sequential Monte Carlo method for approximate
    Bayesian computation*, 2012.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([0.0, 1.0]).double().repeat(50)
        >>> even_power(log_w, 0.5)
        1.0
        >>> round(10 * even_power(10 * log_w, 0.6), 4)  # log r with r + 1/r = 10
        2.2924
    """
    good = log_weights.isfinite()
    x = log_weights[good].double()
    s = torch.ones_like(x) if shares is None else shares[good].double()
    s, x = s / s.sum(), x - x.max()

    def even(a: float) -> bool:
        w = (a * x).exp()
        return float((s @ w).square()) >= least * float(s @ w.square())

    low, high = 0.0, 1.0
    if even(high):
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if even(middle) else (low, middle)
    return low


def per_group(values: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return sums ``(g,)`` of values ``(n,)`` and numbers of rows ``(g,)`` by group.

    Without groups each row is a group.
    """
    values = values.double()
    if groups is None:
        return values, torch.ones_like(values)
    _, at = torch.unique(groups, return_inverse=True)
    size = int(at.max()) + 1
    sums = values.new_zeros(size).index_add_(0, at, values)
    return sums, torch.bincount(at, minlength=size).double()


def error_of_mean(values: Tensor, groups: Tensor | None = None) -> float:
    """Return the standard error of the mean of values ``(n,)``, whose groups may be dependent.

        se^2 = sum_g (S_g - n_g m)^2 / n^2 * G/(G - 1),

    the variance of a bootstrap by group, without its draws.

    Example:
        >>> x = torch.tensor([1.0, 1.0, 3.0, 3.0])
        >>> round(error_of_mean(x), 3), error_of_mean(x, torch.tensor([0, 0, 1, 1]))
        (0.577, 1.0)
    """
    sums, counts = per_group(values, groups)
    n = len(counts)
    if n < 2:
        return math.inf
    rest = sums - counts * (sums.sum() / counts.sum())
    return float((rest.square().sum() * n / (n - 1)).sqrt() / counts.sum())
