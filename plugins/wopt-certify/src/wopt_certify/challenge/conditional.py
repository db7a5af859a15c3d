"""One coordinate given another: a Gaussian whose mean and spread are curves or broken lines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["PiecewiseLinearRegression", "PolynomialRegression"]

_MEAN, _SPREAD = 3, 2
"""Degrees of the polynomials of the mean and of the log-variance."""
_ROUNDS_OF_BENT = 4
_REACH = 3.5
"""Standard deviations of x_i beyond which the polynomials continue as constants."""
_RIDGE_OF_BENT = 1e-6


@dataclasses.dataclass(frozen=True)
class PolynomialRegression:
    """p(x_j | x_i) = N(x_j; a_j(u), exp s_j(u)),  u = x_i standardised, a and s polynomials.

    It fits curved and funnel-shaped dependence with seven numbers per coordinate.

    Source: Harvey, *Estimating regression models with multiplicative heteroscedasticity*, 1976.

    Attributes:
        i: The conditioning coordinate.
        others: The k coordinates j that depend on it.
        shift, scale: Mean and standard deviation of x_i.
        mean: Coefficients of a, shape ``(4, k)``.
        spread: Coefficients of s, the log-variance, shape ``(3, k)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 2, generator=rng, dtype=torch.float64)
        >>> x[:, 1] *= (x[:, 0] / 2).exp()  # a funnel, whose p(x_2 | x_1) has the entropy 1.419
        >>> p = PolynomialRegression.of(x[:3000], 0, [1])
        >>> abs(float(p.given(x[3000:]).mean()) + 1.419) < 0.05
        True
    """

    i: int
    others: tuple[int, ...]
    shift: float
    scale: float
    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, x: Tensor, i: int, others: Sequence[int]) -> PolynomialRegression:
        """Fit to rows ``(n, d)``, alternating weighted least squares and Fisher scoring."""
        shift, scale = float(x[:, i].mean()), float(x[:, i].std()) + 1e-12
        features = _powers(x[:, i], shift, scale)
        y = x[:, list(others)]
        short = features[:, : _SPREAD + 1]
        gram = _regular(short.T @ short)
        spread = torch.zeros(_SPREAD + 1, len(others), dtype=torch.float64)
        first = features @ torch.linalg.solve(_regular(features.T @ features), features.T @ y)
        # A step of scoring lowers a logarithm by one at most, so it begins near the solution.
        spread[0] = (y - first).square().mean(0).clamp(min=1e-12).log()
        for _ in range(_ROUNDS_OF_BENT):
            weights = (-(short @ spread)).exp()
            weighted = torch.einsum("np,nk,nq->kpq", features, weights, features)
            right = torch.einsum("np,nk->kp", features, weights * y)
            mean = torch.linalg.solve(_regular(weighted), right).T
            excess = ((y - features @ mean).square() * weights - 1).clamp(max=20.0)
            spread = spread + torch.linalg.solve(gram, short.T @ excess)
        return cls(i, tuple(others), shift, scale, mean, spread)

    def refit(self, x: Tensor) -> PolynomialRegression:
        """Return the regression of the same coordinates, fitted to rows ``(n, d)``."""
        return PolynomialRegression.of(x, self.i, self.others)

    def given(self, points: Tensor) -> Tensor:
        """Return the sum over j of log p(x_j | x_i), nats, shape ``(n,)``, at points ``(n, d)``."""
        return self.each(points).sum(1)

    def each(self, points: Tensor) -> Tensor:
        """Return log p(x_j | x_i) in nats, shape ``(n, k)``, at points ``(n, d)``."""
        features = _powers(points[:, self.i], self.shift, self.scale)
        logs = features[:, : _SPREAD + 1] @ self.spread
        gaps = points[:, list(self.others)] - features @ self.mean
        return -(gaps.square() * (-logs).exp() + logs + math.log(2 * math.pi)) / 2


def _powers(x: Tensor, shift: float, scale: float) -> Tensor:
    u = ((x - shift) / scale).clamp(-_REACH, _REACH)
    return torch.stack([u**k for k in range(_MEAN + 1)], dim=1)


def _regular(gram: Tensor) -> Tensor:
    size = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    return gram + _RIDGE_OF_BENT * size * torch.eye(gram.shape[-1]).to(gram)


_ROUNDS_OF_CURVE = 3
_RIDGE_OF_CURVE = 1e-3
"""Ridge on second differences, as a fraction of the rows at a node, for nodes with few rows."""
_EXCESS = 20.0


@dataclasses.dataclass(frozen=True)
class PiecewiseLinearRegression:
    """p(x_j | x_i) = N(x_j; a(x_i), exp s(x_i)),  a and s piecewise linear between nodes.

    It fits what oscillates too often for the polynomials of
    :class:`~wopt_certify.challenge.conditional.PolynomialRegression`. Nodes are half way
    between quantiles of x_i and a grid; beyond the outermost the curves continue as constants.

    Source: Harvey, *Estimating regression models with multiplicative heteroscedasticity*, 1976.

    Attributes:
        i, j: The conditioning coordinate, and the one that depends on it.
        nodes: Nodes of the piecewise linear functions, shape ``(k,)``.
        mean, spread: a and s at the nodes, shape ``(k,)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(6000, 2, generator=rng, dtype=torch.float64)
        >>> x[:, 1] = (5 * x[:, 0]).sin() + x[:, 1] / 10  # given x_1 of entropy -0.884
        >>> p = PiecewiseLinearRegression.of(x[:5000], 0, 1, 60)
        >>> abs(float(p.given(x[5000:]).mean()) - 0.884) < 0.1
        True
    """

    i: int
    j: int
    nodes: Tensor
    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, x: Tensor, i: int, j: int, nodes: int) -> PiecewiseLinearRegression:
        """Fit to rows ``(n, d)``, float64, alternating least squares and Fisher scoring."""
        order = x[:, i].quantile(torch.linspace(0.001, 0.999, nodes).to(x))
        at = ((order + torch.linspace(float(order[0]), float(order[-1]), nodes).to(x)) / 2).unique()
        if len(at) < 2:  # x_i is constant
            at = torch.stack([at[0], at[0] + 1])
        hats, y = _Hats.of(at, x[:, i]), x[:, j]
        ones = torch.ones_like(y)
        gram = hats.gram(ones)
        mean = torch.linalg.solve(gram, hats.sums(y))
        # A step of scoring lowers a logarithm by one at most, so it begins near the solution.
        least = 1e-12 + 1e-9 * float(y.var())
        near = hats.sums((y - hats(mean)).square()) / hats.sums(ones).clamp(min=1e-9)
        spread = near.clamp(min=least).log()
        for _ in range(_ROUNDS_OF_CURVE):
            weights = (-hats(spread)).exp()
            mean = torch.linalg.solve(hats.gram(weights), hats.sums(weights * y))
            excess = ((y - hats(mean)).square() * weights - 1).clamp(max=_EXCESS)
            spread = spread + torch.linalg.solve(gram, hats.sums(excess))
        return cls(i, j, at, mean, spread)

    def refit(self, x: Tensor) -> PiecewiseLinearRegression:
        """Return the curve with as many nodes, fitted to rows ``(n, d)``."""
        return PiecewiseLinearRegression.of(x, self.i, self.j, len(self.nodes))

    def given(self, points: Tensor) -> Tensor:
        """Return log p(x_j | x_i) in nats, shape ``(n,)``, at points ``(n, d)``."""
        hats = _Hats.of(self.nodes, points[:, self.i])
        logs = hats(self.spread)
        gaps = points[:, self.j] - hats(self.mean)
        return -(gaps.square() * (-logs).exp() + logs + math.log(2 * math.pi)) / 2


@dataclasses.dataclass(frozen=True)
class _Hats:
    """The two hat functions that are nonzero at each row: the node below, the next one's weight."""

    size: int
    below: Tensor
    fraction: Tensor

    @classmethod
    def of(cls, nodes: Tensor, x: Tensor) -> _Hats:
        """Return the hats at values x, shape ``(n,)``."""
        below = torch.searchsorted(nodes, x.contiguous()).clamp(1, len(nodes) - 1) - 1
        width = nodes[below + 1] - nodes[below]
        return cls(len(nodes), below, ((x - nodes[below]) / width).clamp(0, 1))

    def __call__(self, values: Tensor) -> Tensor:
        """Return the piecewise linear function at the rows, shape ``(n,)``."""
        return torch.lerp(values[self.below], values[self.below + 1], self.fraction)

    def sums(self, y: Tensor) -> Tensor:
        """Return the sum over rows of y ``(n,)`` times each hat function, shape ``(k,)``."""
        total = y.new_zeros(self.size)
        total.index_add_(0, self.below, y * (1 - self.fraction))
        return total.index_add_(0, self.below + 1, y * self.fraction)

    def gram(self, weights: Tensor) -> Tensor:
        """Return the weighted Gram matrix of the hat functions with its ridge, shape ``(k, k)``."""
        k, s = self.size, self.fraction
        total = weights.new_zeros(k * k)
        for row, column, product in ((0, 0, (1 - s) ** 2), (1, 1, s**2), (0, 1, s * (1 - s))):
            total.index_add_(0, (self.below + row) * k + self.below + column, weights * product)
        upper = total.reshape(k, k)
        bends = torch.eye(k).to(weights).diff(dim=0).diff(dim=0)
        size = float(weights.mean()) * len(s) / k
        ridge = _RIDGE_OF_CURVE * size * bends.T @ bends + 1e-9 * size * torch.eye(k).to(weights)
        return upper + upper.T - upper.diagonal().diag() + ridge
