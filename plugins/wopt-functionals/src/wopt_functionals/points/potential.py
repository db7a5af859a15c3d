"""The potential energy."""

from __future__ import annotations

from typing import final

from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt_functionals.options import DensityTarget


@final
class Potential(wopt.Objective):
    """The potential energy of a target's V = -log q.

        G(rho) = E V.

    lambda-convex along any coupling if V is lambda-convex. Its minimum is V's, at the modes of q:
    alone it collapses the particles there, so it is meant as a part of sums. Its exact JKO
    step is the proximal map of V, applied to each particle.

    Source: Ambrosio, Gigli, Savare, *Gradient Flows*, 2008, Prop. 9.3.2; docs/theory 2, row 10.

    Example:
        >>> import torch
        >>> from wopt.testing import NormalTarget
        >>> g = Potential(NormalTarget([0.0], [[4.0]]))
        >>> at = [g.energy(Particles(torch.tensor([[x]]))) for x in (0.0, 2.0)]
        >>> round(float(at[1] - at[0]), 6)
        0.5
    """

    cites = ("ambrosio2008",)
    needs = Capability.POTENTIAL

    def __init__(self, target: DensityTarget = wopt.named("gaussian")) -> None:
        self.target = target
        self.convexity = target.convexity
        self._potential = target.potential

    def contributions(self, particles: Particles) -> Tensor:
        """Return V at each particle, shape ``(n,)``."""
        return self._potential(particles.points)

    def largest_explicit_step(self) -> float | None:
        """Return 2/L for an L-smooth V, beyond which gradient descent on V is unstable."""
        assert self.target is not None
        return None if self.target.smoothness is None else 2 / self.target.smoothness
