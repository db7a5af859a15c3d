"""The implicit midpoint rule along labels."""

from __future__ import annotations

from wopt import FlowBlock, History, Need, Objective, Particles, Subproblem
from wopt_schemes.base import Stepped

__all__ = ["Midpoint"]


class Midpoint(Stepped):
    """The implicit midpoint rule: a proximal step of h/2, then as far again.

        M = argmin  G(M_# rho) + E |M(x) - x|^2 / h,    T = 2 M - id.

    The block is T, and G is evaluated at M = (id + T)/2, whose log-det the block must know
    (HALF_WAY). Order 2. Stable but not L-stable, and T is invertible only where DM > 1/2, so the
    step sizes should not be large against the stiffest mode.

    Source: Hairer, Lubich, Wanner, *Geometric Numerical Integration*, II.1; for gradient flows in
    metric spaces: Legendre, Turinici, *Second-order in time schemes*, 2017.

    Args:
        step_size: h, or a rule for it.

    Example:
        >>> import torch, wopt
        >>> from wopt.testing import AffineBlock
        >>> block = AffineBlock(1)
        >>> _ = block.shift.data.fill_(2.0)
        >>> x = wopt.Particles.start(torch.zeros(1, 1))
        >>> Midpoint(step_size=0.5).place(block, x).points.tolist()
        [[1.0]]
    """

    order = 2
    needs = Need.HALF_WAY

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Anchor at the particles, half the step, all of the objective implicit half way."""
        return Subproblem(history.particles.points, history.step_size / 2, objective)

    def place(self, block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
        """Return the particles half way, at M(x)."""
        return particles.moved(*block.half_way(particles.points))

    def gradient(self, subproblem: Subproblem, objective: Objective, moved: Particles) -> None:
        """Return nothing: the step tells the gradient half way, not at its end."""
