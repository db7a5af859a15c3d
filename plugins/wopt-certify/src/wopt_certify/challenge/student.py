"""Student's law in many dimensions, with the Gaussian as its limit."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

__all__ = ["Student"]

_FREEDOMS = (math.inf, 30.0, 10.0, 5.0, 3.0)
_ROUNDS = 8


@dataclasses.dataclass(frozen=True)
class Student:
    """p(x) = c |W| (1 + |W^T (x - m)|^2 / v)^(-(v + d)/2),  by EM; v is chosen by other rows.

    It has few parameters, so it can detect errors about as small as those of its own fit.

    Source: Liu, Rubin, *ML estimation of the t distribution using EM and its extensions*, 1995.

    Attributes:
        freedom: v; infinity for a Gaussian.
        mean: m, shape ``(d,)``.
        factor: W, the lower Cholesky factor of the inverse scatter, shape ``(d, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 2, generator=rng, dtype=torch.float64)
        >>> p = Student.best(x[:3000], x[3000:])
        >>> abs(float(p(x[3000:]).mean()) + 2.838) < 0.05  # the entropy of N(0, I)
        True
    """

    freedom: float
    mean: Tensor
    factor: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> Student:
        """Fit rows ``(n, d)`` with several degrees of freedom; held-out rows choose among them."""
        fit, hold = fit.double(), hold.double()
        trials = [cls.of(fit, freedom) for freedom in _FREEDOMS]
        return max(trials, key=lambda trial: float(trial(hold).mean()))

    @classmethod
    def of(cls, x: Tensor, freedom: float) -> Student:
        """Fit to rows ``(n, d)`` with known degrees of freedom."""
        x = x.double()
        mean, scatter = x.mean(0), _regular(torch.cov(x.T, correction=0).reshape(2 * x.shape[1:]))
        now = cls(freedom, mean, torch.linalg.cholesky(torch.linalg.inv(scatter)))
        for _ in range(0 if math.isinf(freedom) else _ROUNDS):
            weights = (freedom + x.shape[1]) / (freedom + now.inside(x).square().sum(1))
            mean = weights @ x / weights.sum()
            centred = x - mean
            scatter = _regular((weights[:, None] * centred).T @ centred / len(x))
            now = cls(freedom, mean, torch.linalg.cholesky(torch.linalg.inv(scatter)))
        return now

    def refit(self, x: Tensor) -> Student:
        """Return the law with the same degrees of freedom, fitted to rows ``(n, d)``."""
        return type(self).of(x, self.freedom)

    def inside(self, x: Tensor) -> Tensor:
        """Return the standardised points W^T (x - m), shape ``(n, d)``."""
        return (x.double() - self.mean) @ self.factor

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        squares, d = self.inside(points).square().sum(1), len(self.mean)
        log_det = self.factor.diagonal().log().sum()
        if math.isinf(self.freedom):
            return log_det - d / 2 * math.log(2 * math.pi) - squares / 2
        v = self.freedom
        constant = math.lgamma((v + d) / 2) - math.lgamma(v / 2) - d / 2 * math.log(v * math.pi)
        return constant + log_det - (v + d) / 2 * torch.log1p(squares / v)


def _regular(scatter: Tensor) -> Tensor:
    return scatter + 1e-9 * float(scatter.diagonal().mean()) * torch.eye(len(scatter)).to(scatter)
