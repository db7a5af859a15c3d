"""Divergences that are means of a function of the density ratio at the particles."""

from __future__ import annotations

import abc

from torch import Tensor

import wopt
from wopt import Capability, Particles

__all__ = ["RatioObjective", "is_convex"]


class RatioObjective(wopt.Objective):
    """An f-divergence  int f(p/q) q = E_p[h(t)],  t = log(p/q),  h(t) = f(e^t) e^-t."""

    needs = Capability.POTENTIAL | Capability.NORMALISED | Capability.LOG_DENSITY
    target: wopt.Target

    @abc.abstractmethod
    def value(self, t: Tensor) -> Tensor:
        """Return h of the log-ratio ``t``, elementwise, in its shape."""

    def contributions(self, particles: Particles) -> Tensor:
        """Return h(t) at each particle, shape ``(n,)``."""
        return self.value(particles.log_density + self.target.potential(particles.points))


def is_convex(target: wopt.Target) -> bool:
    """Return whether the target's potential is known to be convex."""
    return target.convexity is not None and target.convexity >= 0
