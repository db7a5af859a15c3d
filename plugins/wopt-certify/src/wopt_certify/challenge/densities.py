"""Densities in closed form: mixtures of Gaussians, and laws of the distance from a centre."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data import QuantileTransform, through_quantiles
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


_KNOTS = 16


def curve_of(column: Tensor) -> QuantileTransform:
    """Return the increasing map c with c(X) nearly N(0, 1), by a column's quantiles, ``(n,)``."""
    curve = through_quantiles(column.sort().values, _KNOTS)
    if curve is not None:
        return curve
    mean, sd = float(column.mean()), max(float(column.std()), 1e-12)
    return QuantileTransform((mean - sd, mean + sd), (-1.0, 1.0), (1 / sd, 1 / sd))


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

    It has thin shells and tails of any weight.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        centre, factor: m, shape ``(d,)``, and lower triangular W, shape ``(d, d)``.
        curve: That of log |w|, whose law is g.
    """

    centre: Tensor
    factor: Tensor
    curve: QuantileTransform

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> Shell:
        """Return the likelier of the shells of rows ``(n, d)`` about 0 and about their mean."""
        origin = fit.new_zeros(fit.shape[1]), torch.eye(fit.shape[1]).to(fit)
        shells = []
        for centre, factor in (origin, centre_and_whitening(fit)):
            shells.append(cls(centre, factor, curve_of(_log_size((fit - centre) @ factor))))
        return max(shells, key=lambda one: float(one(hold).mean()))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = _log_size((points - self.centre) @ self.factor), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        return self.factor.diagonal().log().sum() + self.curve.log_density(size) - area - d * size


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=1e-12).log()
