"""The JKO scheme with entropic transport."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import DivergenceError, History, Objective, Particles, Subproblem
from wopt.component import fields
from wopt_geomloss.entropic.plan import NotConverged, solve_between

_ITERATIONS = 2000
_ACCEPTED = 1e-2
"""Error of the marginals, in L1, that suffices to train; the value's error is its square."""


@fields
class EntropicJKO(wopt.ProximalScheme):
    """The JKO scheme with the entropic transport cost in place of the displacement.

        rho_{n+1} = argmin  G(rho) + OT_eps(rho_n, rho) / (2 h),
        OT_eps(mu, nu) = min over couplings P of  E_P |x - y|^2 + eps KL(P | mu x nu).

    The plan is computed for every map (Sinkhorn), so the map need not be the plan, and the
    distance is that of the laws. It is biased: even the minimiser of G moves, each of its
    variances v (for KL to N(0, s), a = 1 + h/s) shrinking to the root of

        (a^2 - 1) v^2 - a (2h - eps/2) v + h (h - eps/2) = 0,

    so eps should be small against h; the means are not affected. The flow it follows as h goes to
    0 is another one unless eps/h does too, so it states no order. Large sets of particles are
    coupled in groups of ``rows``, in their order.

    Source: Peyre, *Entropic approximation of Wasserstein gradient flows*, 2015; the closed form is
    docs/theory 3.5.

    Example:
        >>> EntropicJKO(step_size=0.5, epsilon=0.01).epsilon
        0.01
    """

    cites = ("peyre2015", "cuturi2013", "feydy2019")
    order = None

    step_size: wopt.StepSizeOption = wopt.named("constant")
    epsilon: Annotated[
        float,
        Field(
            gt=0,
            description="weight eps of the entropy, a squared length; small compared with h",
        ),
    ] = 0.05
    rows: Annotated[
        int,
        Field(ge=2, le=100_000, description="number of particles that are coupled at a time"),
    ] = 250

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored at the particles, with the whole objective implicit."""
        x = history.particles
        return EntropicStep(x, x.points, history.step_size, objective, self.epsilon, self.rows)


@dataclasses.dataclass(frozen=True)
class EntropicStep(Subproblem):
    """min over T of  G'(T_# rho) + OT_eps(anchors, T_# rho) / (2 h').

    Attributes:
        epsilon: Weight eps of the entropy, a squared length.
        group: Number of particles that are coupled at a time, in their order.
    """

    epsilon: float
    group: int

    def cost(self, moved: Particles) -> Tensor:
        """Return each particle's part of OT_eps(anchors, moved) / (2 h'), shape ``(n,)``."""
        groups = [slice(k, k + self.group) for k in range(0, len(moved), self.group)]
        shares = [transport_shares(self.anchor[g], moved.rows(g), self.epsilon) for g in groups]
        return torch.cat(shares) / (2 * self.step_size)

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return None: the gradient is (a - y)/h' under squared displacement only."""


def transport_shares(anchor: Tensor, moved: Particles, epsilon: float) -> Tensor:
    """Return parts, shape ``(n,)``, whose weighted mean is OT_eps between anchors and images.

        OT_eps = min  sum_ij P_ij |a_i - y_j|^2 + eps KL(P | mu x nu) = max E_mu f + E_nu g.

    Both have the same weights. The derivative by y is that of sum_ij P_ij |a_i - y_j|^2 at the
    optimal plan P (envelope theorem), so nothing is differentiated through the iteration.

    Source: Cuturi, 2013; Feydy et al., 2019.

    Args:
        anchor: Points a, shape ``(n, d)``.
    """
    y, weights = moved.points, moved.shares().double()
    there = weights > 0
    b = weights[there] / weights[there].sum()
    tolerance = 1e-9 if y.dtype == torch.float64 else 1e-3
    a = anchor[there].double()
    try:
        with torch.no_grad():
            plan = solve_between(
                y.double(), weights, a, b, epsilon, tolerance, _ITERATIONS, accept=_ACCEPTED
            )
    except NotConverged as error:
        raise DivergenceError(
            f"entropic_jko: the plan's marginals are off by {error.error:.1g} after {_ITERATIONS} "
            f"iterations at epsilon = {epsilon:g}. Use a larger epsilon, or the scheme jko, whose "
            "transport is not entropic"
        ) from None
    value = plan.potential.clone()
    value[there] += plan.other  # by pairs, so that equal points give equal parts
    slope = (y.square() - 2 * y * plan.image.to(y)).sum(1)
    return value.to(y) + slope - slope.detach()
