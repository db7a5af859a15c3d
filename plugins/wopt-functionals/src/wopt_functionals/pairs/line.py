"""Mean distances in one dimension, by sorting."""

from __future__ import annotations

import torch
from torch import Tensor


def distances_on_line(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return  sum_j v_j |x_i - y_j|  for every i, shape ``(n,)``, with derivatives by ``x``.

    Args:
        x: Points, shape ``(n,)``.
        y: Points, shape ``(m,)``.
        v: Weights of y, shape ``(m,)``, summing to one.

    Example:
        >>> y = torch.tensor([0.0, 1.0, 4.0])
        >>> distances_on_line(torch.tensor([1.0]), y, torch.tensor([0.25, 0.25, 0.5])).tolist()
        [1.75]
    """
    y, order = y.detach().sort()
    v = v[order]
    zero = v.new_zeros(1)
    mass = torch.cat([zero, v.cumsum(0)])
    moment = torch.cat([zero, (v * y).cumsum(0)])
    at = x.detach().contiguous()
    # With y_j = x_i counted as half to the left, the derivative there is the symmetric one.
    left, right = (torch.searchsorted(y, at, right=side) for side in (False, True))
    below = (mass[left] + mass[right]) / 2
    below_moment = (moment[left] + moment[right]) / 2
    return x * (2 * below - mass[-1]) - 2 * below_moment + moment[-1]
