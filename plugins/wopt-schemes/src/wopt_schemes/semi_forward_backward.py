"""Semi-forward-backward splitting for differences of convex functionals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

import wopt
from wopt import History, Objective, Particles, Subproblem
from wopt.component import fields
from wopt.interfaces import wasserstein_gradient
from wopt_schemes.base import Stepped


class HalfSecondMoment(wopt.Objective):
    """The functional E |x|^2 / 2, which is 1-convex."""

    convexity = 1.0

    def contributions(self, particles: Particles) -> Tensor:
        """Return |x|^2 / 2 of each particle, shape ``(n,)``."""
        return particles.points.square().sum(1) / 2


@fields
class SemiForwardBackward(Stepped):
    """The scheme for a difference of convex functionals, G = rest - c: the concave part explicit.

        a(x) = x + h grad c(x),    T = argmin  rest(T_# rho) + E |T(x) - a(x)|^2 / (2 h).

    With ``curvature`` k the difference is G = (G + k E|x|^2/2) - k E|x|^2/2, so a = (1 + h k) x;
    for k >= -lambda the implicit part is convex, so the subproblem has one solution at every h,
    also where G (KL to a mixture, say) is not convex. Without it the objective's own difference
    is taken, or k = max(0, -lambda) for an objective known to be lambda-convex: where nothing is
    concave, the step is a step of jko.

    Source: Luu, Yu, Williams, et al., *Non-geodesically-convex optimization in the Wasserstein
    space*, 2024 (arXiv 2406.00502).

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.tensor([[2.0]]))
        >>> h = wopt.History(x, None, None, 0, 0.5, None)
        >>> kl = wopt.build("objective", "kl")
        >>> SemiForwardBackward(step_size=0.5, curvature=1.0).subproblem(h, kl).anchor
        tensor([[3.]])
    """

    cites = ("luu2024",)
    order = 1

    curvature: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Field(
            description="k in the splitting that adds and subtracts k E|x|^2/2; by default "
            "the splitting that the objective has itself, or else k = -lambda for a "
            "lambda-convex one"
        ),
    ] = None

    def check(self, objective: Objective) -> None:
        """Raise unless a difference of the objective is known.

        Raises:
            CapabilityError: No difference is known, and no curvature is given.
        """
        self._difference(objective)

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored after an explicit step against c, with the rest implicit."""
        rest, c = self._difference(objective)
        slope = wasserstein_gradient(c, history.particles)
        anchor = history.particles.points + history.step_size * slope
        return Subproblem(history.particles, anchor, history.step_size, rest)

    def _difference(self, objective: Objective) -> tuple[Objective, Objective]:
        curvature = self.curvature
        if curvature is None:
            difference = objective.difference()
            if difference is not None:
                return difference
            if objective.convexity is None:
                raise wopt.CapabilityError(
                    f"semi_forward_backward needs a difference of convex functionals, and "
                    f"{type(objective).__name__} has none; set scheme.curvature = k, which "
                    "adds and subtracts k E|x|^2/2"
                )
            curvature = max(0.0, -objective.convexity)
        c = curvature * HalfSecondMoment()
        return objective + c, c
