"""Derivatives of energies with respect to measures, from the energy alone."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.interfaces.objective import Objective
from wopt.particles import Particles

__all__ = ["energy_derivatives", "wasserstein_gradient"]


def energy_derivatives(objective: Objective, particles: Particles) -> tuple[Tensor, Tensor]:
    """Return the energy's derivatives by points ``(n, d)`` and by log_det ``(n,)``.

    The derivative of G along any field v is

        DG(rho)[v] = d/dt G((id + t v)_# rho) = sum_i <g_i, v(x_i)> + l_i div v(x_i).
    """
    points = particles.points.detach().requires_grad_()
    log_det = None if particles.log_det is None else particles.log_det.detach().requires_grad_()
    with torch.enable_grad():
        energy = objective.energy(dataclasses.replace(particles, points=points, log_det=log_det))
        inputs = [points] if log_det is None else [points, log_det]
        derivatives = torch.autograd.grad(energy, inputs, allow_unused=True, materialize_grads=True)
    return derivatives[0], derivatives[1] if log_det is not None else points.new_zeros(len(points))


def wasserstein_gradient(objective: Objective, particles: Particles) -> Tensor:
    """Return grad_W G at the particles, shape ``(n, d)``, of an energy of the points alone.

    Raises:
        CapabilityError: The energy depends on the density, whose gradient is unknown.

    Example:
        >>> from wopt.interfaces.objective import Objective
        >>> class Half(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> wasserstein_gradient(Half(), Particles(torch.tensor([[2.0], [4.0]]))).tolist()
        [[2.0], [4.0]]
    """
    if objective.of_density:
        raise CapabilityError(
            f"the gradient of {type(objective).__name__} at particles is not known, because it "
            "depends on their density; use a scheme that treats it implicitly"
        )
    by_point, _ = energy_derivatives(objective, particles)
    if particles.weights is None:
        return by_point * len(particles)
    return by_point / particles.weights[:, None]
