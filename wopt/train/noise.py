"""Noise on training particles, drawn afresh at every iteration: a regulariser for small data."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import torch

from wopt.interfaces.subproblem import Subproblem

__all__ = ["blurred_subproblem"]

S = TypeVar("S", bound=Subproblem)


def blurred_subproblem(subproblem: S, scale: float) -> S:
    """Return the subproblem with its particles and their anchors moved by noise.

    Over many draws the law of the coordinates that are not conditions becomes the convolution
    rho * N(0, scale^2 I). The noise is drawn from torch's global generator.

    Source: Rothfuss et al., *Noise regularization for conditional density estimation*, 2019.

    Args:
        subproblem: The subproblem at training particles.
        scale: Standard deviation of the noise, in the flow's coordinates; 0 for none.

    Example:
        >>> import torch, wopt
        >>> from wopt.particles import Particles
        >>> x = Particles.start(torch.zeros(50_000, 1))
        >>> sub = Subproblem(x, x.points, 1.0, wopt.build("objective", "entropy"))
        >>> with torch.random.fork_rng():
        ...     _ = torch.manual_seed(0)
        ...     round(float(blurred_subproblem(sub, 0.3).particles.points.std()), 2)
        0.3
    """
    if not scale:
        return subproblem
    particles = subproblem.particles
    noise = scale * torch.randn_like(particles.points)
    noise[:, particles.dim - particles.condition :] = 0
    moved = dataclasses.replace(particles, points=particles.points + noise)
    return dataclasses.replace(subproblem, particles=moved, anchor=subproblem.anchor + noise)
