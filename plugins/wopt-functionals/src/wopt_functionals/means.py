"""What objectives share that are means of one value a particle."""

from __future__ import annotations

import abc

import torch
from torch import Tensor

import wopt
from wopt import Particles

__all__ = ["MeanObjective", "centred", "log_mean_exp", "weights_of"]


class MeanObjective(wopt.Objective):
    """An energy E[g(x)] of one value a particle."""

    @abc.abstractmethod
    def contributions(self, particles: Particles) -> Tensor:
        """Return g at each particle, shape ``(n,)``."""

    def energy(self, particles: Particles) -> Tensor:
        """Return the mean of :meth:`contributions`."""
        return particles.mean(self.contributions(particles))


def weights_of(particles: Particles) -> Tensor:
    """Return the weights, shape ``(n,)``, equal ones written out."""
    if particles.weights is not None:
        return particles.weights
    n = len(particles)
    return particles.points.new_full((n,), 1 / n)


def log_mean_exp(particles: Particles, values: Tensor) -> Tensor:
    """Return log E[exp(values)], without overflow.

    Example:
        >>> p = Particles(torch.zeros(2, 1), torch.tensor([0.25, 0.75]))
        >>> round(float(log_mean_exp(p, torch.tensor([1000.0, 1000.0]))), 3)
        1000.0
    """
    return torch.logsumexp(values + weights_of(particles).log(), 0)


def centred(particles: Particles, energy: Tensor, variation: Tensor) -> Tensor:
    """Return values whose mean is the energy and whose spread is that of its first variation.

    By the delta method the standard error of their mean is that of the energy, also where this is
    no mean of one value a particle.

    Args:
        particles: The measure rho.
        energy: G(rho).
        variation: G's first variation at the particles, up to a constant, shape ``(n,)``.
    """
    return energy + variation - particles.mean(variation)
