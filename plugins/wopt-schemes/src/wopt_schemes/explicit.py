"""The explicit Euler scheme: Wasserstein gradient descent."""

from __future__ import annotations

from wopt import Capability, History, Objective, Subproblem
from wopt_schemes.base import Limit, LimitedScheme
from wopt_schemes.linearised import Linearised


class Explicit(LimitedScheme):
    """The explicit Euler scheme, with the velocity found by a linearised problem.

        u = argmin  DG(rho)[u] + E |u|^2 / (2 h) = -h grad_W G(rho),    T = id + u.

    DG(rho)[u] is one derivative of the energy along (u, div u), so that neither a formula of the
    gradient nor a score is needed; blocks whose map is the flow of u for unit time agree to first
    order.
    It is of order 1, and stable only below a limit that the stiffest mode sets: for KL to N(n, S)
    with affine maps h <= 1/L, L the largest eigenvalue of S^-1. A larger h is refused where the
    objective knows its limit; where it does not, a step that raises the energy is rejected.

    Source: Ambrosio, Gigli, Savare, *Gradient Flows*, 2008; docs/theory 3.1.

    Example:
        >>> import wopt
        >>> from wopt.testing import NormalTarget
        >>> kl = wopt.build("objective", {"name": "kl", "target": NormalTarget([0.0], [[0.5]])})
        >>> Explicit(step_size=0.6).limit(kl).value
        0.5
    """

    cites = ("ambrosio2008",)
    order = 1
    needs = Capability.VELOCITY

    def limit(self, objective: Objective) -> Limit | None:
        """Return the objective's largest explicit step, where it is known."""
        largest = objective.largest_explicit_step()
        if largest is None:
            return None
        return Limit(largest, "the objective's largest explicit step")

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the problem of the objective linearised at the particles."""
        self.refuse_large(history, objective)
        return Linearised.of(history.particles, history.step_size, objective)
