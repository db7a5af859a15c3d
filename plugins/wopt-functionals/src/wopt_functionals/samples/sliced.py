"""The sliced Wasserstein distance."""

from __future__ import annotations

from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.component import fields
from wopt.interfaces import Draws
from wopt_functionals.options import FEW_SAMPLES, SampledTarget, Samples


@final
@fields
class SlicedWasserstein(wopt.Objective):
    """Half the squared sliced Wasserstein distance to samples of a target q.

        G(rho) = E_theta W_2^2(<theta, .>_# rho, <theta, .>_# q) / 2,    theta uniform.

    The mean is over ``projections`` directions, drawn anew with the samples and fixed in between.
    Along each the exact transport is found by sorting, for any weights and numbers of points.

    It is not geodesically convex, and zero at q. The flow converges if q is Gaussian.

    Source: Bonneel et al., Sliced and Radon Wasserstein barycenters, 2015; docs/theory 2, row
    15.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> g = SlicedWasserstein(NormalTarget([0.0], [[1e-12]]), projections=1)
        >>> round(float(g.energy(Particles(torch.full((4, 1), 2.0).double()))), 4)
        2.0
    """

    cites = ("bonneel2015",)
    example = FEW_SAMPLES
    needs = Capability.TARGET_SAMPLES
    minimum = 0.0

    target: SampledTarget = wopt.named("gaussian")
    projections: Annotated[
        int, Field(ge=1, le=1_000_000, description="number of random directions")
    ] = 100
    samples: Samples = 1000

    def __post_init__(self) -> None:
        self.draws = Draws(self.target, self.samples)

    def energy(self, particles: Particles) -> Tensor:
        """Return half the mean W_2^2 over the directions in use, shape ``()``."""
        x = particles.points
        y = self.draws.points(x)
        draw = self.draws.generator(x, offset=1)
        shape = (self.projections, particles.dim)
        theta = torch.randn(shape, generator=draw, dtype=torch.float64, device=x.device)
        theta = torch.nn.functional.normalize(theta, dim=1).to(x)
        v = y.new_full((len(y),), 1 / len(y))
        return _transport(theta @ x.T, particles.shares(), theta @ y.T, v).mean() / 2


def _transport(x: Tensor, w: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return W_2^2 on lines, ``(l,)``, of x ``(l, n)`` and y ``(l, m)`` with weights w and v."""
    x, from_x = x.sort(dim=1)
    y, from_y = y.sort(dim=1)
    if len(w) == len(v) and bool((w == w[0]).all()) and bool((v == v[0]).all()):
        return (x - y).square().mean(1)
    ends = [weights.double()[order].cumsum(1) for weights, order in ((w, from_x), (v, from_y))]
    # Between neighbouring jumps both quantile functions are constant.
    levels = torch.cat(ends, dim=1).sort(dim=1)[0]
    lengths = levels.diff(dim=1, prepend=torch.zeros_like(levels[:, :1]))
    middle = (levels - lengths / 2).contiguous()
    at_x, at_y = (
        x_or_y.gather(1, torch.searchsorted(end.contiguous(), middle).clamp_(max=len(end[0]) - 1))
        for x_or_y, end in zip((x, y), ends, strict=True)
    )
    return (lengths.to(x.dtype) * (at_x - at_y).square()).sum(1)
