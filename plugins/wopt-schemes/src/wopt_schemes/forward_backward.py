"""Forward-backward splitting: one part explicit, the rest implicit."""

from __future__ import annotations

import wopt
from wopt import Capability, History, Objective, Subproblem, Sum
from wopt.interfaces import wasserstein_gradient
from wopt_schemes.base import Limit, LimitedScheme


class ForwardBackward(LimitedScheme):
    """The forward-backward (proximal gradient) scheme for G = f + rest.

        a(x) = x - h grad f(x),    T = argmin  rest(T_# rho) + E |T(x) - a(x)|^2 / (2 h).

    For KL the explicit part is the potential energy f = E V and the rest minus the entropy. With
    f L-smooth and lambda-convex the squared distance to the minimiser shrinks by 1 - h lambda a
    step for h <= 1/L; the scheme is stable for h <= 2/L, and a larger h is refused where L is
    known. Its fixed points are the minimisers of G, at any h.

    Source: Salim, Korba, Luise, *The Wasserstein proximal gradient algorithm*, 2020.

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.tensor([[2.0]]))
        >>> h = wopt.History(x, None, None, 0, 0.5, None)
        >>> ForwardBackward(step_size=0.5).subproblem(h, wopt.build("objective", "kl")).anchor
        tensor([[1.]])
    """

    cites = ("salim2020",)
    order = 1

    def limit(self, objective: Objective) -> Limit | None:
        """Return 2/L for an explicit part that is known to be L-smooth."""
        explicit, _ = self._parts(objective)
        constant = smoothness(explicit)
        if not constant:
            return None
        return Limit(
            2 / constant,
            f"2/L, since the explicit part is L-smooth with L = {constant:.4g}; the energy is sure "
            f"to fall up to 1/L = {1 / constant:.4g}",
        )

    def check(self, objective: Objective) -> None:
        """Raise if the objective does not split, or the first step size is above the limit.

        Raises:
            CapabilityError: The objective has no explicit part, or no implicit one.
            ConfigError: The step size h is above 2/L.
        """
        self._parts(objective)
        super().check(objective)

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored after an explicit step of f, with the rest implicit."""
        self.refuse_large(history, objective)
        explicit, rest = self._parts(objective)
        slope = wasserstein_gradient(explicit, history.particles)
        anchor = history.particles.points - history.step_size * slope
        return Subproblem(history.particles, anchor, history.step_size, rest)

    def _parts(self, objective: Objective) -> tuple[Objective, Objective]:
        explicit, rest = objective.split()
        name = type(objective).__name__
        if explicit is None:
            raise wopt.CapabilityError(
                f"forward_backward needs an objective of two parts, and {name} has no explicit one "
                "(a function of the points alone); use jko, or add a part such as a potential"
            )
        if rest is None:
            raise wopt.CapabilityError(
                f"forward_backward needs an objective of two parts, and {name} has no implicit one "
                "(it does not depend on the density); use explicit, or jko, or add an entropy"
            )
        return explicit, rest


def smoothness(objective: Objective) -> float | None:
    """Return L such that an energy of the points is L-smooth, where it is known.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> kl = wopt.build("objective", {"name": "kl", "target": NormalTarget([0.0], [[0.5]])})
        >>> smoothness(kl.split()[0])
        2.0
    """
    if isinstance(objective, Sum):
        total = 0.0
        for weight, part in objective.parts:
            constant = smoothness(part)
            if constant is None:
                return None
            total += abs(weight) * constant
        return total
    largest = objective.largest_explicit_step()
    if largest is not None:
        return 2 / largest
    if objective.needs == Capability.POTENTIAL and objective.target is not None:  # E V
        return objective.target.smoothness
    return None
