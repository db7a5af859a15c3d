"""The linearised subproblem, whose minimiser is an explicit step."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt import FlowBlock, Objective, Particles, Subproblem
from wopt.interfaces import Stationarity, energy_derivatives
from wopt.statistics import Mean, mean_and_error


class Linearised(Subproblem):
    """min over u = T - id of  DG(rho)[u] + E |u|^2 / (2 h'),  so that u = -h' grad_W G(rho).

    DG(rho)[u] = sum_i <g_i, u(x_i)> + l_i div u(x_i) with the derivatives g, l of the energy by
    points and log-dets, see :func:`wopt.interfaces.objective.energy_derivatives`. The anchor is
    the particles themselves; use :meth:`of`.
    """

    explicit = True
    proximal = False
    joint = False

    @classmethod
    def of(cls, particles: Particles, step_size: float, objective: Objective) -> Linearised:
        """Return an explicit step of an objective from particles."""
        return cls(particles, particles.points, step_size, objective)

    def loss(self, block: FlowBlock) -> Tensor:
        """Return DG(rho)[u] + E |u|^2 / (2 h'), shape ``()``."""
        u, divergence = block.velocity(*self.particles.inputs)
        by_point, by_log_det = energy_derivatives(self.implicit, self.particles)
        slope = (by_point * u).sum() + (by_log_det * divergence).sum()
        return slope + self.particles.mean(u.square().sum(1)) / (2 * self.step_size)

    def change(self, block: FlowBlock, moved: Particles) -> Mean:
        """Return the loss, which is zero at the identity, with its standard error."""
        u, divergence = block.velocity(*self.particles.inputs)
        by_point, by_log_det = energy_derivatives(self.implicit, self.particles)
        slope = ((by_point * u).sum(1) + by_log_det * divergence) / self.particles.shares()
        values = slope + u.square().sum(1) / (2 * self.step_size)
        return mean_and_error(values.double(), self.particles.weights)

    @torch.no_grad()
    def stationarity(self, block: FlowBlock) -> Stationarity:
        """Return the condition  grad_W G(rho) + u/h' = 0  at the particles before the step."""
        u, _ = block.velocity(*self.particles.inputs)
        anchor = self.particles.points - u
        return Stationarity(self.implicit, self.particles, anchor, self.step_size)

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return None: the step gives the gradient at its start, not at its end."""
