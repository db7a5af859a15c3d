"""The JKO scheme: implicit Euler in Wasserstein space."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt
from wopt import History, Need, Subproblem, Transport

__all__ = ["JKO"]


class JKO(wopt.ProximalScheme):
    """The minimising-movement scheme of Jordan, Kinderlehrer and Otto.

        rho_{n+1} = argmin  G(rho) + W_2(rho_n, rho)^2 / (2 h).

    Unconditionally stable. For lambda-convex G the gap shrinks by (1 + h lambda)^-2 a step.

    Source: Jordan, Kinderlehrer, Otto, SIAM J. Math. Anal. 29 (1998) 1-17.

    Args:
        step_size: h, or a rule for it.
        transport: The transport term, see :data:`wopt.Transport`.

    Example:
        >>> import wopt
        >>> JKO(step_size=0.5).step_size(0)
        0.5
    """

    order = 1
    looks_back = False

    def __init__(
        self,
        step_size: wopt.StepSizeOption = wopt.named("constant"),
        transport: Annotated[
            Transport, Field(description="squared displacement, or the block's action above it")
        ] = "displacement",
    ) -> None:
        self.step_size = step_size
        self.transport = transport
        self.needs = Need.ACTION if transport == "action" else Need.NOTHING

    def subproblem(self, history: History, objective: wopt.Objective) -> Subproblem:
        """Anchor at the particles, all of the objective implicit."""
        return Subproblem(history.particles.points, history.step_size, objective)
