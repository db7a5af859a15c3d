"""The implicit midpoint rule along labels."""

from __future__ import annotations

from wopt import Capability, FlowBlock, History, Objective, Particles, Subproblem
from wopt.statistics import Mean
from wopt_schemes.base import Stepped


class Midpoint(Stepped):
    """The implicit midpoint rule: a proximal step of h/2, then the same displacement again.

        M = argmin  G(M_# rho) + E |M(x) - x|^2 / h,    T = 2 M - id.

    The block is T, and G is evaluated at M = (id + T)/2, whose log-det the block must know
    (HALF_WAY). It is of order 2, stable but not L-stable, and T is invertible only where DM > 1/2,
    so the step sizes should not be large against the stiffest mode.

    Source: Hairer, Lubich, Wanner, *Geometric Numerical Integration*, II.1; for gradient flows in
    metric spaces: Legendre, Turinici, *Second-order in time schemes*, 2017.

    Example:
        >>> import torch, wopt
        >>> from wopt.testing import AffineBlock
        >>> block = AffineBlock(1)
        >>> _ = block.shift.data.fill_(2.0)
        >>> x = wopt.Particles.start(torch.zeros(1, 1))
        >>> history = wopt.History(x, None, None, 0, 0.5, None)
        >>> sub = Midpoint(step_size=0.5).subproblem(history, wopt.build("objective", "kl"))
        >>> sub.at(block).points.tolist()
        [[1.0]]
    """

    cites = ("hairer2006", "legendre2017")
    order = 2
    needs = Capability.HALF_WAY

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step of h/2 from the particles, with the objective implicit half way."""
        x = history.particles
        return HalfWay(x, x.points, history.step_size / 2, objective)


class HalfWay(Subproblem):
    """min over T of  G(M_# rho) + E |M(x) - a(x)|^2 / (2 h')  with  M = (id + T)/2."""

    proximal = False
    joint = False

    def at(self, block: FlowBlock, *, audit: bool = False) -> Particles:
        """Return the particles half way, at M(x)."""
        return self.particles.moved(*block.half_way(*self.particles.inputs))

    def change(self, block: FlowBlock, moved: Particles) -> Mean:
        """Return F(T) - F(id), evaluated half way."""
        return super().change(block, self.at(block, audit=True))

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return None: the step gives the gradient half way, not at its end."""
