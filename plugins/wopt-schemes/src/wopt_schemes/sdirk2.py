"""A two-stage diagonally implicit Runge-Kutta scheme."""

from __future__ import annotations

import math

from wopt import History, Objective, Subproblem
from wopt_schemes.base import Stepped

GAMMA = 1 - 1 / math.sqrt(2)
"""The diagonal that makes the scheme L-stable."""


class SDIRK2(Stepped):
    """Alexander's two-stage scheme: two proximal steps of c h with c = 1 - 1/sqrt 2.

        y_1 = argmin  G + E |y - x|^2 / (2 c h),                 g_1 = (x - y_1)/(c h),
        T   = argmin  G + E |y - (x - (1 - c) h g_1)|^2 / (2 c h).

    Both maps lead from x, so only the second joins the flow. Order 2 and L-stable, with no memory
    of earlier steps: it allows any change of step size and needs no start-up.

    Source: Alexander, *Diagonally implicit Runge-Kutta methods for stiff O.D.E.s*, 1977.

    Example:
        >>> SDIRK2(step_size=0.5).stages
        2
    """

    cites = ("alexander1977",)
    order = 2
    stages = 2

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the proximal step of the stage."""
        x, h = history.particles.points, history.step_size
        if not history.stages:
            return Subproblem(history.particles, x, GAMMA * h, objective)
        back = (1 - GAMMA) / GAMMA * (x - history.stages[0].points)
        return Subproblem(history.particles, x - back, GAMMA * h, objective)
