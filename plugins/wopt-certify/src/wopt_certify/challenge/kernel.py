"""Kernel densities with a bandwidth of each centre, for few dimensions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["KernelDensity", "log_mean_kernel"]

_CENTRES = 6000
_BANDWIDTHS = (0.1, 0.16, 0.25, 0.4, 0.63, 1.0)
"""As shares of Silverman's n^(-1/(d + 4)); what is far from Gaussian wants the small ones."""
_HOLD_ROWS = 700
_NEAR = 2
"""Adaptive bandwidths are tried so many places around the best of the equal ones."""


class KernelDensity:
    """p(x) = 1/n sum_i N(x; x_i, h_i^2 I),  h_i = h (pilot(x_i)/g)^(-a),  a = 0 or 1/2.

    Bandwidth h and whether it adapts are chosen by the likelihood of held-out rows. g is the
    geometric mean of the pilot density, that with equal bandwidths.

    Source: Abramson, *On bandwidth variation in kernel estimates*, 1982.

    Args:
        fit: Centres, shape ``(n, d)``; at most 6000 of them are used.
        hold: Rows that choose.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> x = torch.randn(3000, 1, generator=draw, dtype=torch.float64)
        >>> density = KernelDensity(x[:2000], x[2000:])
        >>> abs(float(density(x.new_zeros(1, 1))) + 0.919) < 0.1  # log 1/sqrt(2 pi)
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor) -> None:
        self.centres = fit[:_CENTRES].double()
        n, d = self.centres.shape
        hold = hold[:_HOLD_ROWS].double()
        base = float(self.centres.std(0).mean()) * n ** (-1 / (d + 4))
        flat = self.centres.new_zeros(n)
        trials = [(h * base, flat) for h in _BANDWIDTHS]
        values = [self._value(hold, *trial) for trial in trials]
        at = max(range(len(trials)), key=lambda k: values[k])
        pilot = log_mean_kernel(self.centres, self.centres, flat + math.log(trials[at][0]))
        bent = -0.5 * (pilot - pilot.mean())
        # A centre far out may be wide, but not without end.
        bent = bent.clamp(max=math.log(8.0))
        near = _BANDWIDTHS[max(at - _NEAR, 0) : at + _NEAR]
        adaptive = [(h * base, bent) for h in near]
        values += [self._value(hold, *trial) for trial in adaptive]
        trials += adaptive
        at = max(range(len(trials)), key=lambda k: values[k])
        self.bandwidth = trials[at][0]
        self.log_widths: Tensor = math.log(self.bandwidth) + trials[at][1]

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p, shape ``(n, d)`` to ``(n,)``, float64."""
        return log_mean_kernel(points.double(), self.centres, self.log_widths)

    def _value(self, hold: Tensor, h: float, bent: Tensor) -> float:
        return float(log_mean_kernel(hold, self.centres, math.log(h) + bent).mean())


def log_mean_kernel(points: Tensor, centres: Tensor, log_widths: Tensor) -> Tensor:
    """Return log 1/n sum_i N(x; x_i, h_i^2 I) at points ``(m, d)``, a bounded part at a time."""
    n, d = centres.shape
    constant = -d * log_widths - d / 2 * math.log(2 * math.pi) - math.log(n)
    halves = (-2 * log_widths).exp() / 2
    middle = centres.mean(0)
    centred, squares = centres - middle, (centres - middle).square().sum(1)
    found = []
    for part in torch.split(points - middle, max(1, 4_000_000 // n)):
        distances = torch.addmm(squares, part, centred.T, alpha=-2)
        distances.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        found.append(distances.mul_(-halves).add_(constant).logsumexp(1))
    return torch.cat(found)
