"""The base of transport objectives: value, first variation and gradient are found together."""

from __future__ import annotations

import abc
import dataclasses
import math

import torch
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.interfaces import Draws


@dataclasses.dataclass(frozen=True)
class Variation:
    """An energy at a measure, with its first variation and Wasserstein gradient there.

    Attributes:
        value: Energy G(rho), shape ``()``.
        potential: First variation at the particles, up to a constant, shape ``(n,)``.
        gradient: Wasserstein gradient at the particles, shape ``(n, d)``.
    """

    value: Tensor
    potential: Tensor
    gradient: Tensor


class TransportObjective(wopt.Objective):
    """An objective of the particles and of samples of a target, both with weights.

    By the envelope theorem the gradient needs no derivative of the plan. Plans are computed in
    float64, whatever the particles' type. Only the first derivative of the energy is available.
    """

    needs = Capability.TARGET_SAMPLES
    minimum = 0.0
    draws: Draws

    @abc.abstractmethod
    def variation(self, x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> Variation:
        """Return the energy between sum_i a_i delta(x_i) and sum_j b_j delta(y_j), in float64.

        Args:
            x: Points, shape ``(n, d)``.
            a: Weights, summing to one, shape ``(n,)``.
            y: Points, shape ``(m, d)``.
            b: Weights, summing to one, shape ``(m,)``.
        """

    def energy(self, particles: Particles) -> Tensor:
        """Return the energy between the particles and the samples in use, shape ``()``."""
        x = particles.points
        variation = self._at(particles)
        # This term has value zero and derivative a_i grad_W G(x_i) by x_i.
        by_point = particles.mean(((x - x.detach()) * variation.gradient.to(x)).sum(1))
        return variation.value.to(x) + by_point

    def contributions(self, particles: Particles) -> Tensor:
        """Return the first variation, shape ``(n,)``, shifted to have the energy as its mean."""
        variation = self._at(particles)
        values = variation.potential.to(particles.points)
        return values + (variation.value.to(values) - particles.mean(values))

    @torch.no_grad()
    def _at(self, particles: Particles) -> Variation:
        x, y = particles.points.double(), self.draws.points(particles.points)
        if not bool(torch.isfinite(x).all()):
            # The inner solver starts again when it sees this; the libraries would fail or hang.
            return Variation(x.new_tensor(math.nan), torch.full_like(x[:, 0], math.nan), x * 0)
        if particles.weights is None:
            a = x.new_full((len(x),), 1 / len(x))
        else:
            a = particles.weights.double() / particles.weights.double().sum()
        return self.variation(x, a, y, y.new_full((len(y),), 1 / len(y)))
