"""Renyi's entropy and divergence."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt_functionals.density.f_divergence import is_convex
from wopt_functionals.means import centred, log_mean_exp
from wopt_functionals.options import DensityTarget, not_one

_Order = Annotated[
    float,
    Field(gt=0, description="the order alpha, not 1 (that limit is the objective entropy or kl)"),
    not_one,
]


class _LogMean(wopt.Objective):
    """The energy  log E[exp((alpha - 1) t)] / (alpha - 1)  of one value t a particle."""

    alpha: float

    def energy(self, particles: Particles) -> Tensor:
        """Return the energy, shape ``()``."""
        return log_mean_exp(particles, self._exponent(particles)) / (self.alpha - 1)

    def contributions(self, particles: Particles) -> Tensor:
        """Return the first variation, shape ``(n,)``, shifted to have the energy as its mean."""
        exponent = self._exponent(particles)
        total = log_mean_exp(particles, exponent)
        variation = (exponent - total).exp() / (self.alpha - 1)
        return centred(particles, total / (self.alpha - 1), variation)

    def _exponent(self, particles: Particles) -> Tensor:
        return (self.alpha - 1) * self._log_ratio(particles)

    def _log_ratio(self, particles: Particles) -> Tensor:
        return particles.log_density


@final
class RenyiEntropy(_LogMean):
    """Minus Renyi's entropy of order alpha.

        G(rho) = log(int rho^alpha) / (alpha - 1) = log(E[rho^(alpha-1)]) / (alpha - 1).

    It is convex along generalised geodesics (lambda = 0) for alpha > 1, which is not known here
    below 1, and has no lower bound.

    Source: docs/theory 2, row 6, with proof.

    Example:
        >>> import torch
        >>> log_density = torch.tensor([0.0, 0.0]) - 3  # uniform: the entropy of any order is 3
        >>> round(float(RenyiEntropy().energy(Particles.start(torch.rand(2, 1), None,
        ...     log_density))), 6)
        -3.0
    """

    cites = ()
    needs = Capability.LOG_DENSITY

    def __init__(self, alpha: _Order = 2.0) -> None:
        self.alpha = alpha
        self.convexity = 0.0 if alpha > 1 else None


@final
class RenyiDivergence(_LogMean):
    """Renyi's divergence of order alpha to q = exp(-V)/Z.

        G(rho) = log(int rho^alpha q^(1-alpha)) / (alpha - 1)
               = log(E[exp((alpha - 1)(log rho + V))]) / (alpha - 1) + log Z.

    log Z is a constant that no map changes, so V may be known up to one. It is convex along
    generalised geodesics (lambda = 0) if V is convex and alpha > 1, and zero at q if Z = 1.

    Source: docs/theory 2, row 8; van Erven, Harremoes, Renyi divergence and KL divergence, 2014.

    Example:
        >>> from wopt.testing import NormalTarget, gaussian_nodes
        >>> import torch
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> g = RenyiDivergence(NormalTarget([0.0], [[1.0]]), alpha=2.0)
        >>> round(float(g.energy(gaussian_nodes(one[0], one, order=30))), 6)  # alpha |m - n|^2/2
        1.0
    """

    cites = ("vanerven2014",)
    needs = Capability.POTENTIAL | Capability.LOG_DENSITY

    def __init__(self, target: DensityTarget = wopt.named("gaussian"), alpha: _Order = 2.0) -> None:
        self.target = target
        self.alpha = alpha
        self.convexity = 0.0 if is_convex(target) and alpha > 1 else None
        self.minimum = 0.0 if Capability.NORMALISED in target.provides else None
        self._potential = target.potential

    def _log_ratio(self, particles: Particles) -> Tensor:
        return particles.log_density + self._potential(particles.points)
