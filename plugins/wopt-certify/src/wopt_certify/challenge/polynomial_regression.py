"""Regression of one coordinate on another: a Gaussian with polynomial mean and log-variance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["PolynomialRegression"]

_MEAN, _SPREAD = 3, 2
"""Degrees of the polynomials of the mean and of the log-variance."""
_ROUNDS = 4
_REACH = 3.5
"""Standard deviations of x_i beyond which the polynomials continue as constants."""
_RIDGE = 1e-6


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
        for _ in range(_ROUNDS):
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
    return gram + _RIDGE * size * torch.eye(gram.shape[-1]).to(gram)
