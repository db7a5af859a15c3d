"""The energy distance."""

from __future__ import annotations

from typing import final

import wopt
from wopt_functionals.options import SampledTarget, Samples
from wopt_functionals.samples.mmd import MMD


@final
class EnergyDistance(MMD):
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
        >>> import torch
        >>> from wopt import Particles
        >>> from wopt.testing import NormalTarget
        >>> g = EnergyDistance(NormalTarget([0.0], [[1.0]]))
        >>> at = [g.energy(Particles(torch.full((4, 1), x).double())) for x in (0.0, 1.0, 3.0)]
        >>> bool(at[0] < at[1] < at[2])
        True
    """

    cites = ("szekely2013", "hertrich2024")
    factor = 2.0

    def __init__(
        self, target: SampledTarget = wopt.named("gaussian"), samples: Samples = 1000
    ) -> None:
        super().__init__(target, "energy", samples=samples)
        self.convexity = 0.0 if target.dim == 1 else None
