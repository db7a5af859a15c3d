"""Minus the entropy."""

from __future__ import annotations

from typing import final

from torch import Tensor

import wopt
from wopt import Capability, Particles


@final
class Entropy(wopt.Objective):
    """Minus the differential entropy, in nats.

        G(rho) = int rho log rho = E[log rho_0(x) - log |det DT(x)|],    y = T(x).

    E[log rho_0] is a constant that no map changes; it is included where the start's density is
    known. Convex along generalised geodesics (lambda = 0); without a lower bound, so add a
    potential or an attraction. Its gradient flow is the heat equation.

    Source: Ambrosio, Gigli, Savare, *Gradient Flows*, 2008, Prop. 9.3.9; docs/theory 2, row 3.

    Example:
        >>> import torch
        >>> start = Particles.start(torch.zeros(3, 2), log_density=torch.full((3,), -2.0))
        >>> float(Entropy().energy(start.moved(start.points, torch.full((3,), 0.5))))
        -2.5
    """

    cites = ("ambrosio2008",)
    needs = Capability.LOG_DET
    convexity = 0.0

    def contributions(self, particles: Particles) -> Tensor:
        """Return log rho in nats, or its change from the start, shape ``(n,)``."""
        if particles.log_det is None:
            raise wopt.CapabilityError(
                "entropy needs log_det, and these particles have none: a block on their way does "
                "not provide LOG_DET"
            )
        if particles.log_density_start is None:
            return -particles.log_det
        return particles.log_density
