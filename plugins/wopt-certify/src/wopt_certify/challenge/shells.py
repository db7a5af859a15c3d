"""Laws of one number: a column by its quantiles, and the distance from a centre."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt_certify.challenge.challenger import Challenger, Density, rows_of_turn
from wopt_certify.challenge.mixture import centre_and_whitening

__all__ = ["Curve", "Shell", "Shells"]

_KNOTS = (0, 8, 32, 96)
"""Numbers of quantiles among which held-out rows choose; 0 for a Gaussian."""
_ROWS_A_KNOT = 16


@dataclasses.dataclass(frozen=True)
class Curve:
    """p(x) = phi(u(x)) u'(x),  u piecewise linear and increasing, so u(X) is about N(0, 1).

    Attributes:
        x, u: Knots and their normal scores, shape ``(k,)``; beyond them u continues straight.
    """

    x: Tensor
    u: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> Curve:
        """Return the curve of a column ``(n,)`` that rows ``hold`` find likeliest."""
        trials = [cls.of(fit, k) for k in _KNOTS if k * _ROWS_A_KNOT <= len(fit)]
        return max(trials, key=lambda one: float(one(hold).mean()))

    @classmethod
    def of(cls, column: Tensor, knots: int) -> Curve:
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


class Shells(Challenger):
    """Laws of the distance from a centre: thin shells, and tails of any weight."""

    name = "shells"
    dims = (2, math.inf)

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return the likelier of two shells of rows ``(n, d)``, about 0 and about their mean."""
        fit, hold, d = rows_of_turn(fit, turn), hold.double(), fit.shape[1]
        frames = (fit.new_zeros(d), torch.eye(d).to(fit)), centre_and_whitening(fit)
        shells = [Shell.of(fit, hold, *frame) for frame in frames]
        return max(shells, key=lambda one: float(one(hold).mean()))


@dataclasses.dataclass(frozen=True)
class Shell:
    """p(x) = |W| g(log |w|) / (A_d |w|^d),  w = W^T (x - m),  A_d the area of the unit sphere.

    From the noise's side and about the origin it is the model times a function of the distance.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        centre, factor: m, shape ``(d,)``, and lower triangular W, shape ``(d, d)``.
    """

    centre: Tensor
    factor: Tensor
    curve: Curve

    @classmethod
    def of(cls, fit: Tensor, hold: Tensor, centre: Tensor, factor: Tensor) -> Shell:
        """Return the law of rows ``(n, d)`` for this centre and factor."""
        sizes = [_log_size((x - centre) @ factor) for x in (fit, hold)]
        return cls(centre, factor, Curve.best(*sizes))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = _log_size((points.double() - self.centre) @ self.factor), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        return self.factor.diagonal().log().sum() + self.curve(size) - area - d * size


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=1e-12).log()
