"""Kernel densities with one bandwidth per centre, for few dimensions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["KernelDensity", "log_mean_kernel"]

_CENTRES = 6000
_BANDWIDTHS = (0.1, 0.16, 0.25, 0.4, 0.63, 1.0)
"""Bandwidths in multiples of Silverman's n^(-1/(d + 4)); far from Gaussian the small ones fit."""
_HOLD_ROWS = 700
_NEAR = 2
"""Number of places around the best equal bandwidth at which adaptive ones are tried."""


class KernelDensity:
    """p(x) = 1/n sum_i N(x; x_i, h_i^2 I),  h_i = h (pilot(x_i)/g)^(-a),  a = 0 or 1/2.

    Bandwidth h and exponent a are chosen by the likelihood of held-out rows. g is the geometric
    mean of the pilot density, that with equal bandwidths.

    Source: Abramson, *On bandwidth variation in kernel estimates*, 1982.

    Args:
        fit: Centres, shape ``(n, d)``; at most 6000 of them are used.
        hold: Rows on which the bandwidth is chosen, shape ``(m, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(3000, 1, generator=rng, dtype=torch.float64)
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
        # The clamp limits the width of centres far out.
        bent = bent.clamp(max=math.log(8.0))
        near = _BANDWIDTHS[max(at - _NEAR, 0) : at + _NEAR]
        adaptive = [(h * base, bent) for h in near]
        values += [self._value(hold, *trial) for trial in adaptive]
        trials += adaptive
        at = max(range(len(trials)), key=lambda k: values[k])
        self.bandwidth = trials[at][0]
        self.log_widths: Tensor = math.log(self.bandwidth) + trials[at][1]

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return log_mean_kernel(points.double(), self.centres, self.log_widths)

    def _value(self, hold: Tensor, h: float, bent: Tensor) -> float:
        return float(log_mean_kernel(hold, self.centres, math.log(h) + bent).mean())


def log_mean_kernel(points: Tensor, centres: Tensor, log_widths: Tensor) -> Tensor:
    """Return log 1/n sum_i N(x; x_i, h_i^2 I) in nats, shape ``(m,)``, at points ``(m, d)``.

    Centres x_i have shape ``(n, d)``, ``log_widths`` log h_i shape ``(n,)``. Points are processed
    in parts of bounded memory.
    """
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
