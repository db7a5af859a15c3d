"""Internal energies of power type: porous medium, fast diffusion, Tsallis."""

from __future__ import annotations

from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt_functionals.options import not_one


@final
class Internal(wopt.Objective):
    """The internal energy of power m, up to a constant minus the Tsallis entropy.

        G(rho) = int rho^m / (m - 1) = E[rho^(m-1)] / (m - 1).

    Its gradient flow is the porous medium equation, d rho/dt = Laplace rho^m (fast diffusion for
    m < 1). Convex along generalised geodesics (lambda = 0) if m >= 1 - 1/d in dimension d: for
    every m > 1, and in one dimension for every m; here 0 is stated for m > 1 and ``None`` below.
    For m > 1 it is positive, and near 0 for spread out measures.

    Source: McCann, A convexity principle for interacting gases, 1997; Otto, The geometry of
    dissipative evolution equations: the porous medium equation, 2001; docs/theory 2, row 5.

    Example:
        >>> half = torch.full((4,), 2.0).log().neg()  # uniform on an interval of length 2
        >>> round(float(Internal(m=2.0).energy(Particles.start(torch.rand(4, 1), None, half))), 6)
        0.5
    """

    cites = ("mccann1997", "otto2001")
    needs = Capability.LOG_DENSITY

    def __init__(
        self,
        m: Annotated[
            float,
            Field(gt=0, description="the power m, not 1 (that limit is the objective entropy)"),
            not_one,
        ] = 2.0,
    ) -> None:
        self.m = m
        self.convexity = 0.0 if m > 1 else None
        self.minimum = 0.0 if m > 1 else None

    def contributions(self, particles: Particles) -> Tensor:
        """Return rho^(m-1) / (m - 1) at each particle, shape ``(n,)``."""
        return torch.exp((self.m - 1) * particles.log_density) / (self.m - 1)
