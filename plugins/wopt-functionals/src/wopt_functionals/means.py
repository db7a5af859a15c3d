"""Means over particles that objectives share."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt import Particles


def log_mean_exp(particles: Particles, values: Tensor) -> Tensor:
    """Return log E[exp(values)], shape ``()``, of values ``(n,)``, without overflow.

    Example:
        >>> p = Particles(torch.zeros(2, 1), torch.tensor([0.25, 0.75]))
        >>> round(float(log_mean_exp(p, torch.tensor([1000.0, 1000.0]))), 3)
        1000.0
    """
    return torch.logsumexp(values + particles.shares().log(), 0)


def centred(particles: Particles, energy: Tensor, variation: Tensor) -> Tensor:
    """Return values whose mean is the energy and whose spread is that of its first variation.

    By the delta method the standard error of their mean is that of the energy, also where the
    energy is not a mean of one value per particle.

    Args:
        energy: The energy G(rho), shape ``()``.
        variation: G's first variation at the particles, up to a constant, shape ``(n,)``.
    """
    return energy + variation - particles.mean(variation)
