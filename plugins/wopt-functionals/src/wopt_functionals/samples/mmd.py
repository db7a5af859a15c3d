"""The maximum mean discrepancy."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, ConfigError, DataError, Particles
from wopt.interfaces import Draws
from wopt_functionals.means import centred
from wopt_functionals.options import FEW_SAMPLES, Estimator, SampledTarget, Samples
from wopt_functionals.pairs.kernel import PairKernel
from wopt_functionals.pairs.kernels import KernelName, frequencies, make_kernel
from wopt_functionals.pairs.mean import kernel_cross_mean, rows_between, rows_within, within

Bandwidth = Annotated[
    float | Literal["median"],
    Field(
        description="length scale h of the kernel; median: the median distance between samples of "
        "the target, computed once"
    ),
]


class MMD(wopt.Objective):
    """Half the squared maximum mean discrepancy to samples of a target q.

        G(rho) = (E k(X, X') - 2 E k(X, Y) + E k(Y, Y'))/2,    X, X' ~ rho,  Y, Y' ~ q.

    || kernel | k(x, y), r = the distance of x and y ||
    |---|---|
    | gaussian | exp(-r^2 / 2h^2) |
    | laplace | exp(-r / h) |
    | inverse_multiquadric | (1 + r^2 / h^2)^(-1/2) |
    | energy | -r, so G is half the energy distance |

    Pairs are summed block by block in both passes, so memory grows with n + m only. With
    ``features`` the kernel is replaced by its mean over that many random cosines, whose cost is
    linear too; drawn anew with the samples, they give G without bias.

    With the Gaussian kernel G is lambda-convex along generalised geodesics for
    lambda = -(1 + 2 e^(-3/2))/h^2; for the others nothing is stated. The ``v`` estimate is at
    least 0.

    Source: Gretton et al., A kernel two-sample test, 2012; Arbel et al., Maximum mean discrepancy
    gradient flow, 2019; docs/theory 2, row 12.

    Raises:
        ConfigError: Random features of the energy kernel, or with the ``u`` estimate.
        DataError: The median distance of the target's samples is zero.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> g = MMD(NormalTarget([0.0], [[1.0]]), samples=4000)
        >>> at = [g.energy(Particles(torch.full((4, 1), x).double())) for x in (0.0, 1.0, 3.0)]
        >>> bool(at[0] < at[1] < at[2])
        True
    """

    cites = ("gretton2012", "arbel2019")
    example = FEW_SAMPLES
    needs = Capability.TARGET_SAMPLES
    factor = 1.0

    def __init__(
        self,
        target: SampledTarget = wopt.named("gaussian"),
        kernel: Annotated[KernelName, Field(description="the kernel k")] = "gaussian",
        bandwidth: Bandwidth = "median",
        estimator: Estimator = "v",
        samples: Samples = 1000,
        features: Annotated[
            int | None,
            Field(
                ge=1,
                description="number of random features that replace sums over all pairs; by "
                "default none",
            ),
        ] = None,
    ) -> None:
        if bandwidth != "median" and not (0 < bandwidth < math.inf):
            raise ConfigError(f"mmd: bandwidth must be positive, got {bandwidth}")
        if features and (kernel == "energy" or estimator == "u"):
            raise ConfigError(
                "mmd: random features need a kernel that is a mean of cosines (gaussian, laplace, "
                'inverse_multiquadric) and estimator = "v"'
            )
        self.target = target
        self.kernel = kernel
        self.bandwidth: float | None = None if bandwidth == "median" else bandwidth
        self.diagonal = estimator == "v"
        self.features = features
        self.draws = Draws(target, samples)
        self.minimum = 0.0 if self.diagonal else None
        if kernel == "gaussian" and self.bandwidth is not None:
            self.convexity = -(1 + 2 * math.exp(-1.5)) / self.bandwidth**2

    def energy(self, particles: Particles) -> Tensor:
        """Return the estimate of G, shape ``()``."""
        x, w = particles.points, particles.shares()
        y = self.draws.points(x)
        if self.features:
            return (w @ self._cosines(x) - self._cosines(y).mean(0)).square().sum() / 2
        k, v = self._kernel(y), _equal(y)
        own = within(k, x, w, diagonal=self.diagonal)
        cross = kernel_cross_mean(k, x, w, y, v)
        return self.factor * (own / 2 - cross + self._of_target(k, y, v) / 2)

    @torch.no_grad()
    def contributions(self, particles: Particles) -> Tensor:
        """Return the first variation, shape ``(n,)``, shifted to have the energy as its mean."""
        x, w = particles.points, particles.shares()
        y = self.draws.points(x)
        if self.features:
            at = self._cosines(x)
            witness = w @ at - self._cosines(y).mean(0)
            return centred(particles, witness.square().sum() / 2, at @ witness)
        k, v = self._kernel(y), _equal(y)
        own = rows_within(k, x, w, diagonal=self.diagonal)
        other = rows_between(k, x, y, v)
        energy = particles.mean(own / 2 - other) + self._of_target(k, y, v) / 2
        return self.factor * centred(particles, energy, own - other)

    def _kernel(self, y: Tensor) -> PairKernel:
        return make_kernel(self.kernel, self._length(y))

    def _length(self, y: Tensor) -> float:
        if self.bandwidth is not None or self.kernel == "energy":
            return self.bandwidth or 1.0
        return self.draws.of_target("median", y, _median)

    def _of_target(self, k: PairKernel, y: Tensor, v: Tensor) -> Tensor:
        """Return E k(Y, Y'), which no map changes."""
        return self.draws.remember("of_target", y, lambda: within(k, y, v, diagonal=self.diagonal))

    def _cosines(self, x: Tensor) -> Tensor:
        """Return sqrt(2/D) cos(omega x + b), shape ``(n, D)``."""
        assert self.features is not None
        length = self._length(self.draws.points(x))
        draw = self.draws.generator(x, offset=1)
        omega = frequencies(self.kernel, length, self.features, x.shape[1], draw)
        phase = torch.rand(self.features, generator=draw, dtype=omega.dtype, device=x.device)
        angle = x @ omega.T.to(x) + (2 * math.pi * phase).to(x)
        return math.sqrt(2 / self.features) * angle.cos()


def _equal(y: Tensor) -> Tensor:
    return y.new_full((len(y),), 1 / len(y))


def _median(y: Tensor) -> Tensor:
    median = torch.pdist(y.double()).median()
    if median == 0:
        raise DataError(
            "mmd: the median distance between the target's samples is zero (most of them "
            "coincide); give a positive bandwidth"
        )
    return median
