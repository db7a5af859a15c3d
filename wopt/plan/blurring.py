"""Training noise for planes: its size, and its cost where rows lie on lines."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["blurring", "noise_of_plane"]

_ROWS, _JUDGES = 4000, 1000
"""Rows with a kernel each, and the rows among them at which the estimate is evaluated."""

_NEIGHBOUR = 10
_SHARES = (0.5, 0.7, 1.0, 1.4)
"""Widths of kernels, in distances to a row's tenth neighbour."""

_LEAST = 1e-6
"""Least width as a fraction of the largest distance: where rows are equal a kernel has a width."""


def noise_of_plane(rows: int) -> float:
    """Return the noise, in standard deviations, for training a plane on so many rows.

    It is 0.03 at 4,000 rows and falls with their fourth root; 0.02 from 8,000, none from 12,000 on.

    Example:
        >>> [noise_of_plane(n) for n in (1000, 4000, 8000, 12_000)]
        [0.042, 0.03, 0.02, 0.0]
    """
    if rows >= 12_000:
        return 0.0
    return 0.02 if rows >= 8000 else round(0.03 * (4000 / rows) ** 0.25, 3)


def blurring(z: Tensor, noise: float) -> float:
    """Return the nats that noise costs a kernel density estimate at the scale of the rows.

    Every row has a Gaussian kernel, as wide as c times the distance r_i to its tenth neighbour,
    with or without noise s added; the estimate leaves out the row at which it is evaluated:

        max_c E log p_(c r) - max_c E log p_(sqrt(c^2 r^2 + s^2)).

    It is near zero where the law is smooth at the scale of the noise.

    Args:
        z: Rows in random order, in the flow's coordinates, shape ``(n, d)``.
        noise: s, in standard deviations.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> flat = torch.randn(4000, 2, generator=rng)
        >>> line = torch.stack([flat[:, 0], flat[:, 0].sin() + 0.01 * flat[:, 1]], dim=1)
        >>> blurring(flat, 0.03) < 0.01, blurring(line, 0.03) > 0.05
        (True, True)
    """
    z = z[:_ROWS].float()
    if len(z) < 5 * _NEIGHBOUR or not bool((z != z[0]).any()):
        return 0.0
    near = [torch.cdist(r, z).topk(_NEIGHBOUR + 1, largest=False).values for r in z.split(1000)]
    reach = torch.cat(near)[:, -1]
    judges = z[:_JUDGES]
    squares = torch.cdist(judges, z).square().fill_diagonal_(math.inf)
    reach = reach.clamp_min(float(reach.max()) * _LEAST)

    def best(added: float) -> float:
        values = []
        for fraction in _SHARES:
            width = ((fraction * reach).square() + added**2).sqrt()
            logs = -squares / (2 * width.square()) - z.shape[1] * width.log()
            values.append(float(logs.logsumexp(1).mean()))
        return max(values)

    return best(0.0) - best(noise)
