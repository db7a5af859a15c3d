"""Densities in closed form: mixtures of Gaussians, curves of a column, laws of a distance."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt_blocks import Gaussians, shrunk_mixture

_SIZES = (4, 12, 32)
_ROWS_A_NUMBER, _GAIN = 3, 2e-4
"""Numbers of Gaussians, least rows for each coordinate of a Gaussian's mean, and the gain in nats
for each column after which EM ends."""


def likeliest_mixture(fit: Tensor, hold: Tensor) -> Gaussians:
    """Return a mixture of more and more Gaussians, until rows that are held out lose by it.

    Covariances are shrunk to that of all rows by a quarter as many rows as there are columns.

    Args:
        fit, hold: Rows ``(n, d)`` and ``(m, d)``, float64.
    """
    d = fit.shape[1]
    kept = shrunk_mixture(fit, 1, d / 4)
    for size in _SIZES:
        if size * (d + 1) * _ROWS_A_NUMBER > len(fit):
            break
        larger = shrunk_mixture(fit, size, d / 4, _GAIN * d)
        if not larger.log_prob(hold).mean() > kept.log_prob(hold).mean():
            break
        kept = larger
    return kept


_KNOTS = (0, 8, 32, 96)
"""Numbers of quantiles among which held-out rows choose; 0 for a Gaussian."""
_ROWS_A_KNOT = 16


@dataclasses.dataclass(frozen=True)
class NormalScores:
    """p(x) = phi(u(x)) u'(x),  u piecewise linear and increasing, so u(X) is about N(0, 1).

    Attributes:
        x, u: Knots and their normal scores, shape ``(k,)``; beyond them u continues straight.
    """

    x: Tensor
    u: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> NormalScores:
        """Return the curve of a column ``(n,)`` that rows ``hold`` find likeliest."""
        trials = [cls.of(fit, k) for k in _KNOTS if k * _ROWS_A_KNOT <= len(fit)]
        return max(trials, key=lambda one: float(one(hold).mean()))

    @classmethod
    def of(cls, column: Tensor, knots: int) -> NormalScores:
        """Return the curve through so many quantiles of a column ``(n,)``; 0 for a Gaussian."""
        levels = (torch.arange(knots).to(column) + 0.5) / max(knots, 1)
        x = column.quantile(levels)
        apart = torch.ones(knots, dtype=torch.bool)
        apart[1:] = x.diff() > 1e-9 * float(column.std())
        if int(apart.sum()) < 2:
            mean, scale = column.mean(), column.std().clamp(min=1e-12)
            return cls(torch.stack([mean - scale, mean + scale]), column.new_tensor([-1.0, 1.0]))
        return cls(x[apart], torch.special.ndtri(levels)[apart])

    def scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return u(x) and log u'(x), shape ``(n,)`` each."""
        at = torch.searchsorted(self.x, x.contiguous()).clamp(1, len(self.x) - 1) - 1
        slope = (self.u.diff() / self.x.diff())[at]
        return self.u[at] + (x - self.x[at]) * slope, slope.log()

    def __call__(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, shape ``(n,)``."""
        u, log_slope = self.scores(x)
        return log_slope - u.square() / 2 - math.log(2 * math.pi) / 2


def centre_and_whitening(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return m ``(d,)`` and lower triangular W ``(d, d)``, with which W^T (x - m) is white.

    Example:
        >>> m, w = centre_and_whitening(torch.tensor([[1.0], [5.0]]).double())
        >>> float(m), round(float(w), 3)
        (3.0, 0.5)
    """
    whole = torch.cov(x.T, correction=0).reshape(2 * x.shape[1:])
    whole = whole + 1e-6 * float(whole.diagonal().mean()) * torch.eye(len(whole)).to(whole)
    return x.mean(0), torch.linalg.cholesky(torch.linalg.inv(whole))


@dataclasses.dataclass(frozen=True)
class Shell:
    """p(x) = |W| g(log |w|) / (A_d |w|^d),  w = W^T (x - m),  A_d the area of the unit sphere.

    Thin shells, and tails of any weight. From the noise's side and about the origin it is the model
    times a function of the distance.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        centre, factor: m, shape ``(d,)``, and lower triangular W, shape ``(d, d)``.
        curve: g, the law of the logarithm of the distance.
    """

    centre: Tensor
    factor: Tensor
    curve: NormalScores

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> Shell:
        """Return the likelier of the shells of rows ``(n, d)`` about 0 and about their mean."""
        origin = fit.new_zeros(fit.shape[1]), torch.eye(fit.shape[1]).to(fit)
        shells = []
        for centre, factor in (origin, centre_and_whitening(fit)):
            sizes = [_log_size((x - centre) @ factor) for x in (fit, hold)]
            shells.append(cls(centre, factor, NormalScores.best(*sizes)))
        return max(shells, key=lambda one: float(one(hold).mean()))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = _log_size((points - self.centre) @ self.factor), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        return self.factor.diagonal().log().sum() + self.curve(size) - area - d * size


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=1e-12).log()
