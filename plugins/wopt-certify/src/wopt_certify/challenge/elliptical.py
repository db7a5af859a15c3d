"""Laws whose density depends on the distance from a centre alone: thin shells and heavy tails."""

from __future__ import annotations

import dataclasses
import math

from torch import Tensor

from wopt_certify.challenge.grid import Axis, MarginalDensity
from wopt_certify.challenge.student import Student

__all__ = ["Elliptical"]

_WIDTHS = (0.12, 0.25, 0.5, 1.0)
"""Bandwidths in multiples of n^(-1/5)."""
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Elliptical:
    """p(x) = |W| g(log |w|) / (A_d |w|^d),  w = W^T (x - m),  A_d the area of the unit sphere.

    g is a kernel density of log |w| on a grid, so p is normalised exactly. From the noise's side
    it is the model times a learned function of the distance alone, a function of one number in any
    dimension.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        frame: A fitted law with m and W; ``None`` for the origin and I.
        line: log g.
        width: The bandwidth of g in multiples of n^(-1/5).

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 10, generator=rng, dtype=torch.float64)
        >>> x = x / x.norm(dim=1, keepdim=True) * (1 + 0.1 * torch.randn(4000, 1, generator=rng))
        >>> p = Elliptical.best(x[:3000], x[3000:], Student.of(x[:3000], math.inf))
        >>> 0.3 < float((p(x[3000:]) - Student.of(x, math.inf)(x[3000:])).mean()) < 0.5
        True
    """

    frame: Student | None
    line: MarginalDensity
    width: float

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, frame: Student | None = None) -> Elliptical:
        """Fit to rows ``(n, d)``; rows ``hold`` of shape ``(m, d)`` choose the bandwidth."""
        trials = []
        for width in _WIDTHS:
            trial = cls._of(fit, frame, width)
            line = trial.line.mixed(trial._log_size(hold)[:, None])
            trials.append(dataclasses.replace(trial, line=line))
        return max(trials, key=lambda trial: float(trial(hold).mean()))

    @classmethod
    def _of(cls, x: Tensor, frame: Student | None, width: float) -> Elliptical:
        inside = x.double() if frame is None else frame.inside(x)
        size = _log_size(inside)[:, None]
        line = MarginalDensity.of(size, [Axis.of(size[:, 0])], 0, width * len(x) ** (-1 / 5))
        return cls(frame, line, width)

    def refit(self, x: Tensor) -> Elliptical:
        """Return the law fitted to rows ``(n, d)``, with the same relative bandwidth."""
        frame = None if self.frame is None else self.frame.refit(x)
        anew = self._of(x, frame, self.width)
        return dataclasses.replace(anew, line=dataclasses.replace(anew.line, like=self.line.like))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = self._log_size(points), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        log_det = 0.0 if self.frame is None else float(self.frame.factor.diagonal().log().sum())
        return log_det + self.line(size[:, None]) - area - d * size

    def _log_size(self, x: Tensor) -> Tensor:
        return _log_size(x.double() if self.frame is None else self.frame.inside(x))


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=_ROUNDING).log()
