"""The bins of many splines at once, and where points lie in them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

LEAST = 1e-3
"""Length of the smallest bin, as a fraction of the box; it bounds the slopes of a spline."""


@dataclasses.dataclass(frozen=True)
class Bin:
    """The bin of every point on both axes, in fractions of the box.

    Attributes:
        corner: Lower end of the bin on the points' axis and on the other, shape ``(2, d, n)``.
        length: Length of the bin on both axes, shape ``(2, d, n)``.
        index: Number of the bin, from 0, shape ``(d, n)``.
        shares: Softmax that the lengths are made of, shape ``(2, K, d, n)``.
    """

    corner: Tensor
    length: Tensor
    index: Tensor
    shares: Tensor


def find_bins(logits: Tensor, points: Tensor) -> Bin:
    """Return the bins in which points lie.

    The k-th of K bins has the length  LEAST + (1 - K LEAST) softmax(logits)_k.  The bins come first
    and the points last, so that every operation runs along memory.

    Args:
        logits: Logits of the bins on the points' axis and on the other, shape ``(2, K, d, n)``.
        points: Points in [0, 1], shape ``(d, n)``. No gradient reaches them: the bin in which a
            point lies does not change when it moves a little.

    Example:
        >>> bins = find_bins(torch.zeros(2, 4, 1, 2), torch.tensor([[0.3, 0.9]]))
        >>> bins.index, bins.corner[0]
        (tensor([[1, 3]]), tensor([[0.2500, 0.7500]]))
    """
    k = logits.shape[1]
    scale = 1 - k * LEAST
    shares = logits.softmax(1)
    counts = LEAST * torch.arange(1, k + 1, dtype=points.dtype, device=points.device)
    ends = torch.add(counts.view(-1, 1, 1), shares.cumsum(1), alpha=scale)
    index = (ends[0, :-1] <= points).sum(0)
    both = index.expand(2, 1, *index.shape)
    corner = ends.gather(1, (both - 1).clamp(min=0))[:, 0] * (index > 0)
    return Bin(corner, shares.gather(1, both)[:, 0] * scale + LEAST, index, shares)
