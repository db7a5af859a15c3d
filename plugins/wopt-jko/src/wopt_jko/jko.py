"""The JKO scheme: implicit Euler in Wasserstein space."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, FlowBlock, History, Subproblem
from wopt.component import fields

Transport = Literal["displacement", "action"]
"""The transport term: E |T(x) - x|^2, or the block's action, its upper bound for flows in time."""


@fields
class JKO(wopt.ProximalScheme):
    """The minimising-movement scheme of Jordan, Kinderlehrer and Otto.

        rho_{n+1} = argmin  G(rho) + W_2(rho_n, rho)^2 / (2 h).

    It is stable for every h. For lambda-convex G the gap shrinks by (1 + h lambda)^-2 per step.

    Source: Jordan, Kinderlehrer, Otto, SIAM J. Math. Anal. 29 (1998) 1-17.

    Example:
        >>> import wopt
        >>> JKO(step_size=0.5).step_size(0)
        0.5
    """

    cites = ("jordan1998",)
    order = 1
    looks_back = False
    by_row = True

    step_size: wopt.StepSizeOption = wopt.named("constant")
    transport: Annotated[
        Transport,
        Field(
            description="cost of a step: displacement (the mean of |T(x) - x|^2) or action "
            "(that of the block's paths, an upper bound of it)"
        ),
    ] = "displacement"

    def __post_init__(self) -> None:
        self.needs = Capability.ACTION if self.transport == "action" else Capability.NOTHING

    def subproblem(self, history: History, objective: wopt.Objective) -> Subproblem:
        """Return the step anchored at the particles, with the whole objective implicit."""
        kind = ByAction if self.transport == "action" else Subproblem
        return kind(history.particles, history.particles.points, history.step_size, objective)


class ByAction(Subproblem):
    """min over T of  G'(T_# rho) + E int_0^1 |dx_t/dt|^2 dt / (2 h'),  T a flow in time.

    The action is an upper bound of the squared displacement, and equal to it at the optimum.
    """

    joint = False

    def loss(self, block: FlowBlock) -> Tensor:
        """Return the energy plus the block's mean action over 2 h', shape ``()``."""
        y, log_det, action = block.forward_with_action(*self.particles.inputs)
        moved = self.particles.moved(y, log_det)
        cost = moved.mean(action) / (2 * self.step_size)
        return self.implicit.energy(moved) + cost
