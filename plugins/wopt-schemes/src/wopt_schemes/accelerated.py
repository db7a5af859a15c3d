"""Accelerated proximal steps: Nesterov's momentum, FISTA's with restart."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

import wopt
from wopt import History, Objective, Subproblem
from wopt.component import fields


@fields
class Accelerated(wopt.ProximalScheme):
    """The accelerated proximal point scheme: extrapolate the labels, then a jko step from there.

        a(x) = x + beta_n (x - x_prev),    h' = h.

    For lambda-convex G with lambda > 0 the momentum is constant,

        beta = (sqrt k - 1)/(sqrt k + 1),    k = (1 + h lambda)/(h lambda),

    so that in flat coordinates the gap shrinks at least by 1 - 1/sqrt k per step, where jko has
    1/(1 + h lambda)^2: many times fewer steps for small h lambda. For lambda = 0 it is FISTA's,
    beta_n = (t_n - 1)/t_{n+1} with t_0 = 1 and t_{n+1} = (1 + sqrt(1 + 4 t_n^2))/2, restarted
    whenever it points uphill, E <grad G(x), x - x_prev> > 0. It follows no flow, so it has no
    order. In curved W_2 no rate is proved: the result is certified a posteriori only.

    Source: Nesterov, 2004; Beck, Teboulle, *FISTA*, 2009; O'Donoghue, Candes, *Adaptive restart*,
    2015; docs/theory 3.4.

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.tensor([[2.0]]))
        >>> scheme = Accelerated(step_size=0.125, convexity=1.0)  # k = 9
        >>> h = wopt.History(x, torch.tensor([[4.0]]), None, 1, 0.125, 0.125)
        >>> scheme.plan(h, wopt.build("objective", "kl"))
        {'momentum': 0.5, 't': 1.0}
    """

    cites = ("nesterov2004", "beck2009", "odonoghue2015")
    order = None

    step_size: wopt.StepSizeOption = wopt.named("constant")
    convexity: Annotated[
        Annotated[float, Field(ge=0)] | None,
        Field(
            description="lambda, the modulus of convexity; by default that of the objective; "
            "0: FISTA"
        ),
    ] = None
    restart: Annotated[
        bool, Field(description="whether FISTA restarts when its momentum points uphill")
    ] = True

    def plan(self, history: History, objective: Objective) -> dict[str, float]:
        """Return the momentum of the step, and FISTA's t for the next step."""
        convexity = objective.convexity if self.convexity is None else self.convexity
        if convexity is not None and convexity > 0:
            root = math.sqrt(1 + 1 / (history.step_size * convexity))
            momentum = 0.0 if history.previous is None else (root - 1) / (root + 1)
            return {"momentum": momentum, "t": 1.0}
        t = history.plan.get("t", 1.0)
        if self.restart and _uphill(history):
            t = 1.0
        following = (1 + math.sqrt(1 + 4 * t**2)) / 2
        return {"momentum": (t - 1) / following, "t": following}

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored at the extrapolated points, with an implicit objective."""
        anchor = history.particles.points
        if history.previous is not None:
            anchor = anchor + history.plan["momentum"] * (anchor - history.previous)
        return Subproblem(history.particles, anchor, history.step_size, objective)


def _uphill(history: History) -> bool:
    """Return whether the last step has a positive mean product with the gradient at its end."""
    if history.previous is None or history.gradient is None:
        return False
    along = (history.gradient * (history.particles.points - history.previous)).sum(1)
    return float(history.particles.mean(along)) > 0
