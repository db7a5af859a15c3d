"""The JKO scheme with entropic transport."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import History, Objective, Particles, Subproblem
from wopt_schemes.sinkhorn import sinkhorn_shares

__all__ = ["Entropic", "EntropicJKO"]


class EntropicJKO(wopt.ProximalScheme):
    """The JKO scheme with the entropic transport cost in place of the displacement.

        rho_{n+1} = argmin  G(rho) + OT_eps(rho_n, rho) / (2 h),
        OT_eps(mu, nu) = min over couplings P of  E_P |x - y|^2 + eps KL(P | mu x nu).

    The plan is found anew for every map (Sinkhorn), so the map need not be the plan, and the
    distance is that of the laws. It is biased: even the minimiser of G moves, each of its
    variances v (for KL to N(0, s), a = 1 + h/s) shrinking to the root of

        (a^2 - 1) v^2 - a (2h - eps/2) v + h (h - eps/2) = 0,

    so eps should be small against h; the means are not affected. The flow it follows as h goes to
    0 is another one unless eps/h does too, so it states no order. Large sets of particles are
    coupled in groups of ``rows``, in their order.

    Source: Peyre, *Entropic approximation of Wasserstein gradient flows*, 2015; the closed form is
    docs/theory.md 3.5.

    Args:
        step_size: h, or a rule for it.
        epsilon: eps, in units of squared length.
        rows: Particles that are coupled at a time; cost grows with their square.

    Example:
        >>> EntropicJKO(step_size=0.5, epsilon=0.01).epsilon
        0.01
    """

    order = None

    def __init__(
        self,
        step_size: wopt.StepSizeOption = wopt.named("constant"),
        epsilon: Annotated[
            float,
            Field(
                gt=0,
                description="weight eps of the entropy, a squared length; small compared with h",
            ),
        ] = 0.05,
        rows: Annotated[
            int, Field(ge=2, description="number of particles that are coupled at a time")
        ] = 250,
    ) -> None:
        self.step_size = step_size
        self.epsilon = epsilon
        self.rows = rows

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Anchor at the particles, all of the objective implicit."""
        x = history.particles
        return Entropic(x, x.points, history.step_size, objective, self.epsilon, self.rows)


@dataclasses.dataclass(frozen=True)
class Entropic(Subproblem):
    """min over T of  G'(T_# rho) + OT_eps(anchors, T_# rho) / (2 h').

    Attributes:
        epsilon: eps.
        group: Particles that are coupled at a time, in their order.
    """

    epsilon: float
    group: int

    def cost(self, moved: Particles) -> Tensor:
        """Return shares of OT_eps(anchors, moved) / (2 h'), group by group."""
        groups = [slice(k, k + self.group) for k in range(0, len(moved), self.group)]
        shares = [sinkhorn_shares(self.anchor[g], moved.rows(g), self.epsilon) for g in groups]
        return torch.cat(shares) / (2 * self.step_size)

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return nothing: it is (a - y)/h' under squared displacement only."""
