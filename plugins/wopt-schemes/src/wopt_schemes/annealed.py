"""The JKO scheme along a path of tempered targets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import wopt
from wopt import History, Objective, Subproblem
from wopt.component import fields
from wopt.targets import TemperedTarget

__all__ = ["Annealed"]


@fields
class Annealed(wopt.ProximalScheme):
    """The JKO scheme whose first steps go to tempered targets, and all later ones to the target.

        rho_{n+1} = argmin  G_b(rho) + W_2(rho_n, rho)^2 / (2 h),    b = path[n], and 1 after it,

    where G_b is the objective with its target exp(-V) replaced by exp(-V_b),
    V_b(x) = b V(x) + (1 - b) |x|^2/(2 s^2). Modes that are far apart at b = 1 are joined at small
    b, so that particles reach all of them before they part. It follows no gradient flow of G while
    b is below one, and states no order. Reported energies are those of G, which may rise meanwhile;
    a step is judged by what it minimises.

    Source: Neal, *Annealed importance sampling*, 2001; Wu, Xie, *Annealing flow generative models
    towards sampling high-dimensional and multi-modal distributions*, 2025.

    Raises:
        CapabilityError: The objective has no target with a potential.

    Example:
        >>> Annealed(step_size=0.5, path=[0.1, 0.4]).path
        (0.1, 0.4)
    """

    cites = ("neal2001", "wu2025")
    order = None
    looks_back = False

    step_size: wopt.StepSizeOption = wopt.named("constant")
    path: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...],
        Field(description="inverse temperature of each of the first steps"),
    ] = ()
    scale: Annotated[
        float,
        Field(gt=0, description="standard deviation of the Gaussian to which b = 0 would lead"),
    ] = 3.0

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored at the particles, with the tempered objective implicit."""
        if history.step < len(self.path):
            objective = self._tempered(objective, self.path[history.step])
        x = history.particles
        return Subproblem(x, x.points, history.step_size, objective)

    def check(self, objective: Objective) -> None:
        """Raise unless the objective has a target that can be tempered."""
        for b in self.path:
            self._tempered(objective, b)

    def _tempered(self, objective: Objective, b: float) -> Objective:
        if objective.target is None:
            raise wopt.CapabilityError(
                f"annealed tempers the target, and {type(objective).__name__} has none; use kl "
                "with a target, or jko"
            )
        target = TemperedTarget(objective.target, b, self.scale)
        return objective.with_options(target=target)
