"""Changes of energies between two states of the same particles, with their standard errors."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.statistics import Mean, mean_and_error

__all__ = ["energy_change"]

_GROUPS = 20


def energy_change(
    objective: Objective, before: Particles, after: Particles, extra: Tensor | None = None
) -> Mean:
    """Return G(after) - G(before) plus the mean of ``extra``, paired by particle.

    Without an objective's contributions the error comes from disjoint groups of particles, which
    are independent. Weighted particles are quadrature nodes without a statistical error.

    Args:
        objective: The objective G.
        before: The particles before the change.
        after: The same particles, in the same order, after it.
        extra: One value for each particle, shape ``(n,)``.

    Example:
        >>> class Half(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> x = Particles(torch.tensor([[1.0], [3.0]]))
        >>> energy_change(Half(), x, Particles(x.points + 1))  # (4 - 1)/2 and (16 - 9)/2
        Mean(value=2.5, error=1.0)
    """
    extra = before.points.new_zeros(len(before)) if extra is None else extra
    old, new = objective.contributions(before), objective.contributions(after)
    if old is not None and new is not None:
        return mean_and_error((new - old + extra).double(), before.weights)
    energy = objective.energy
    value = float(energy(after) - energy(before) + before.mean(extra))
    count = min(_GROUPS, len(before))
    if before.weights is not None or count < 2:
        return Mean(value, 0.0)
    groups = [slice(k, None, count) for k in range(count)]
    changes = torch.stack(
        [energy(after.rows(g)) - energy(before.rows(g)) + extra[g].mean() for g in groups]
    )
    return Mean(value, mean_and_error(changes).error)
