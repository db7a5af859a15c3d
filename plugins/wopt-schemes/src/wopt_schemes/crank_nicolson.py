"""The trapezoidal rule along labels."""

from __future__ import annotations

from wopt import History, Objective, Subproblem
from wopt_schemes.base import Stepped


class CrankNicolson(Stepped):
    """The Crank-Nicolson scheme: half a step explicit, half a step implicit.

        a(x) = x - (h/2) g(x),    h' = h/2,

    with g the Wasserstein gradient at x. g costs nothing: after an implicit step it is the
    residual (a - y)/h' of that step. The first step, which has none, is one of jko; its local error
    of order h^2 does not lower the order, 2. It is stable but not L-stable: stiff modes are
    multiplied by nearly -1, so the step sizes should not be large, and errors of the inner
    solver are carried from step to step without damping.

    Source: Crank, Nicolson, 1947; along labels: Chu, Jacobs, 2025 (arXiv 2511.10884).

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.tensor([[2.0]]))
        >>> h = wopt.History(x, x.points, torch.tensor([[4.0]]), 1, 0.5, 0.5)
        >>> CrankNicolson(step_size=0.5).subproblem(h, wopt.build("objective", "kl")).anchor
        tensor([[1.]])
    """

    cites = ("crank1947", "chu2025")
    order = 2

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored after half an explicit step, with an implicit other half."""
        x, h = history.particles.points, history.step_size
        if history.gradient is None:
            return Subproblem(history.particles, x, h, objective)
        anchor = x - h / 2 * history.gradient
        return Subproblem(history.particles, anchor, h / 2, objective)
