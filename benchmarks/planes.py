"""Laws of the plane for the benchmark of the planner."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["PLANES"]

ROWS = 40_000


def spirals(r: np.random.Generator) -> Tensor:
    """Two spirals, one turned by half a turn, with noise that is thinner inside."""
    t = 3 * math.pi * np.sqrt(r.random(ROWS))
    x = np.stack([-np.cos(t) * t, np.sin(t) * t], 1) + 0.3 * r.normal(size=(ROWS, 2))
    return torch.from_numpy(x * np.where(r.random(ROWS) < 0.5, 1, -1)[:, None] / 3)


def rings(r: np.random.Generator) -> Tensor:
    """Four rings around one centre."""
    angle, radius = 2 * math.pi * r.random(ROWS), r.integers(1, 5, ROWS) * 0.75
    radius = radius + 0.08 * r.normal(size=ROWS)
    return torch.from_numpy(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))


def pinwheel(r: np.random.Generator) -> Tensor:
    """Five arms that bend with the radius."""
    arm = r.integers(0, 5, ROWS)
    x = np.stack([1 + 0.3 * r.normal(size=ROWS), 0.05 * r.normal(size=ROWS)], 1)
    angle = 2 * math.pi * arm / 5 + 0.25 * np.exp(x[:, 0])
    turned = np.stack(
        [
            x[:, 0] * np.cos(angle) - x[:, 1] * np.sin(angle),
            x[:, 0] * np.sin(angle) + x[:, 1] * np.cos(angle),
        ],
        1,
    )
    return torch.from_numpy(2 * turned)


def eight_gaussians(r: np.random.Generator) -> Tensor:
    """Eight Gaussians on a circle."""
    angle = 2 * math.pi * r.integers(0, 8, ROWS) / 8
    centre = 4 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return torch.from_numpy((centre + 0.5 * r.normal(size=(ROWS, 2))) / math.sqrt(2))


PLANES = {
    law.__name__.replace("_", " "): law for law in (spirals, rings, pinwheel, eight_gaussians)
}
"""Of these only the spirals were looked at when rules were chosen."""
