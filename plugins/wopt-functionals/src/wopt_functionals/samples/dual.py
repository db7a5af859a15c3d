"""f-divergences from samples of the target, by their dual form."""

from __future__ import annotations

import math
from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.component import fields
from wopt.interfaces import Draws
from wopt_functionals.options import FEW_SAMPLES, SampledTarget, Samples
from wopt_functionals.samples.critics import DUALS, DualName
from wopt_functionals.samples.newton import maximise


@final
@fields
class DualFDivergence(wopt.Objective):
    """An f-divergence to a target known by samples only, by its variational form.

        G(rho) = max_g  E a(g(X)) - E b(g(Y)) - ridge |theta|^2/2,    X ~ rho,  Y ~ q,

    over critics g(x) = theta . psi(x) that are linear in a constant, the coordinates and
    ``features`` random cosines. For g = log(rho/q) and no ridge this is the divergence; with fewer
    critics it is less. The maximum is concave and found by Newton's method in every evaluation,
    so there is no critic to train or to save, G is deterministic, and its gradient exact.

    G is a lower bound of the divergence between the two samples' laws up to sampling error: n
    particles and m samples raise it by about features (1/n + 1/m)/2, so take many more than
    features. It is zero at q and never negative.

    Source: Nguyen, Wainwright, Jordan, Estimating divergence functionals and the likelihood ratio
    by convex risk minimization, 2010; Fan et al., Variational Wasserstein gradient flow, 2022.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> g = DualFDivergence(NormalTarget([0.0], [[1.0]]), features=1, samples=4000)
        >>> x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> abs(float(g.energy(Particles(x + 1))) - 0.5) < 0.05  # |m - n|^2/2
        True
    """

    cites = ("nguyen2010", "fan2022")
    example = FEW_SAMPLES
    needs = Capability.TARGET_SAMPLES
    minimum = 0.0

    target: SampledTarget = wopt.named("gaussian")
    divergence: Annotated[DualName, Field(description="which f-divergence")] = "kl"
    features: Annotated[
        int, Field(ge=1, le=1_000_000, description="number of random cosine features")
    ] = 50
    bandwidth: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="length scale of the critics, in standard deviations of the target",
        ),
    ] = 1.0
    ridge: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="factor of the squared penalty on the critic's coefficients",
        ),
    ] = 1e-3
    samples: Samples = 2000

    def __post_init__(self) -> None:
        self.draws = Draws(self.target, self.samples)

    def contributions(self, particles: Particles) -> Tensor:
        """Return a(g(x)) at each particle, ``(n,)``, less the other terms, for the best g.

        It is the first variation, because at the maximum the derivative by the critic is zero.
        """
        y = self.draws.points(particles.points)
        p, q = self._psi(particles.points), self._psi(y)
        v = y.new_full((len(y),), 1 / len(y))
        fixed = p.detach(), particles.shares(), q, v
        dual = DUALS[self.divergence]
        theta = maximise(dual, *fixed, self.ridge)
        penalty = self.ridge * theta.square().sum() / 2
        return dual.a(p @ theta) - dual.b(q @ theta).mean() - penalty

    def _psi(self, x: Tensor) -> Tensor:
        """Return the features, shape ``(n, 1 + d + features)``."""
        y = self.draws.points(x)
        scale = y.std(0).clamp_min(torch.finfo(y.dtype).tiny)
        z = (x - y.mean(0)) / scale
        draw = self.draws.generator(x, offset=1)
        shape = (self.features, x.shape[1])
        omega = torch.randn(shape, generator=draw, dtype=torch.float64, device=x.device)
        phase = torch.rand(self.features, generator=draw, dtype=torch.float64, device=x.device)
        angle = z @ (omega / self.bandwidth).T.to(x) + (2 * math.pi * phase).to(x)
        cosines = math.sqrt(2 / self.features) * angle.cos()
        return torch.cat([torch.ones_like(z[:, :1]), z, cosines], dim=1)
