"""The energy distance."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.interfaces import Draws
from wopt_functionals.means import centred
from wopt_functionals.options import FEW_SAMPLES, SampledTarget, Samples
from wopt_functionals.pairs.kernels import make_kernel
from wopt_functionals.pairs.line import distances_on_line
from wopt_functionals.pairs.mean import kernel_cross_mean, rows_between, rows_within, within

__all__ = ["EnergyDistance"]

_KERNEL = make_kernel("energy", 1.0)


@final
class EnergyDistance(wopt.Objective):
    """The energy distance to samples of a target q.

        G(rho) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,    X, X' ~ rho,  Y, Y' ~ q,

    in one dimension 2 int (F - F_q)^2 over distribution functions. It is never negative.
    In one dimension the sums are computed by sorting, O(n log n); else pairs are summed block by
    block, so that memory stays flat.

    In one dimension convex along generalised geodesics (lambda = 0); in more dimensions
    not lambda-convex for any lambda. Particles that start together stay together, though the exact
    flow would spread them.

    Source: Szekely, Rizzo, Energy statistics, 2013; Hertrich et al., Generative sliced MMD flows
    with Riesz kernels, 2023; docs/theory 2, row 13, and 2.2.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> g = EnergyDistance(GaussianTarget([0.0], [[1.0]]))
        >>> at = [g.energy(Particles(torch.full((4, 1), x).double())) for x in (0.0, 1.0, 3.0)]
        >>> bool(at[0] < at[1] < at[2])
        True
    """

    cites = ("szekely2013", "hertrich2024")
    example = FEW_SAMPLES
    needs = Capability.TARGET_SAMPLES
    minimum = 0.0

    def __init__(
        self, target: SampledTarget = wopt.named("gaussian"), samples: Samples = 1000
    ) -> None:
        self.target = target
        self.draws = Draws(target, samples)
        self.convexity = 0.0 if target.dim == 1 else None

    def energy(self, particles: Particles) -> Tensor:
        """Return the distance of the particles from the samples in use, shape ``()``."""
        x, w = particles.points, particles.shares()
        y = self.draws.points(x)
        v = y.new_full((len(y),), 1 / len(y))
        if particles.dim == 1:
            line, detached = x[:, 0], x[:, 0].detach()
            to_target = distances_on_line(line, y[:, 0], v)
            # Half of the derivative comes from either argument.
            own = 2 * distances_on_line(line, detached, w)
            own = own - distances_on_line(detached, detached, w)
            return w @ (2 * to_target - own) - self._of_target(y, v)
        distances = within(_KERNEL, x, w, diagonal=True)
        return distances - 2 * kernel_cross_mean(_KERNEL, x, w, y, v) - self._of_target(y, v)

    @torch.no_grad()
    def contributions(self, particles: Particles) -> Tensor:
        """Return the first variation, shape ``(n,)``, shifted to have the energy as its mean."""
        x, w = particles.points, particles.shares()
        y = self.draws.points(x)
        v = y.new_full((len(y),), 1 / len(y))
        if particles.dim == 1:
            own = distances_on_line(x[:, 0], x[:, 0], w)
            other = distances_on_line(x[:, 0], y[:, 0], v)
        else:
            own = -rows_within(_KERNEL, x, w, diagonal=True)
            other = -rows_between(_KERNEL, x, y, v)
        energy = particles.mean(2 * other - own) - self._of_target(y, v)
        return centred(particles, energy, 2 * (other - own))

    def _of_target(self, y: Tensor, v: Tensor) -> Tensor:
        """Return E|Y - Y'|, which no map changes."""

        def mean() -> Tensor:
            """Return the mean distance, shape ``()``."""
            if y.shape[1] == 1:
                return v @ distances_on_line(y[:, 0], y[:, 0], v)
            return -within(_KERNEL, y, v, diagonal=True)

        return self.draws.remember("of_target", y, mean)
