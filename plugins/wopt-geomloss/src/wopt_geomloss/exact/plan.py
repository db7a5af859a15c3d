"""Exact optimal plans for the squared distance."""

from __future__ import annotations

import dataclasses
import warnings

import ot
import torch
from torch import Tensor

from wopt import DivergenceError

_PIVOTS = 10_000_000
"""Largest number of pivots of the network simplex, far above what it usually takes."""


@dataclasses.dataclass(frozen=True)
class TransportPlan:
    """An optimal plan for the cost |x - y|^2/2.

    Attributes:
        value: Half the squared distance, shape ``()``.
        potential: Kantorovich's potential at the particles, up to a constant, shape ``(n,)``.
        image: Mean destination of each particle, sum_j pi_ij y_j / a_i, shape ``(n, d)``; the
            particle itself if it has no weight.
    """

    value: Tensor
    potential: Tensor
    image: Tensor


def exact_plan(x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> TransportPlan:
    """Return an optimal plan, by sorting in one dimension and by network simplex in more.

    Args:
        x: Points, shape ``(n, d)``, float64.
        a: Weights, summing to one, shape ``(n,)``.
        y: Points, shape ``(m, d)``.
        b: Weights, summing to one, shape ``(m,)``.
    """
    return _on_line(x, a, y, b) if x.shape[1] == 1 else _by_simplex(x, a, y, b)


def _by_simplex(x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> TransportPlan:
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square() / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the log has the same warning
        pi, log = ot.emd(a.cpu().numpy(), b.cpu().numpy(), cost.cpu().numpy(), _PIVOTS, log=True)
    if log["warning"] is not None:
        raise DivergenceError(
            f"the exact plan between {len(x)} and {len(y)} points was not found (POT says: "
            f"{log['warning']}); use fewer points, or the objective sinkhorn"
        )
    pi, potential = (torch.from_numpy(value).to(x) for value in (pi, log["u"]))
    moved = a > 0
    image = torch.where(moved[:, None], pi @ y / a.where(moved, 1)[:, None], x)
    return TransportPlan((pi * cost).sum(), potential, image)


def _on_line(x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> TransportPlan:
    """Return the monotone plan, computed from the sorted levels of mass."""
    (at_x, order), (at_y, other) = x[:, 0].sort(), y[:, 0].sort()
    end_x, end_y = a[order].cumsum(0), b[other].cumsum(0)
    levels = torch.cat([end_x, end_y]).sort()[0]
    mass = levels.diff(prepend=levels.new_zeros(1))
    middle = levels - mass / 2
    i = torch.searchsorted(end_x, middle).clamp_(max=len(x) - 1)
    j = torch.searchsorted(end_y, middle).clamp_(max=len(y) - 1)
    value = mass @ (at_x[i] - at_y[j]).square() / 2
    sums = torch.zeros_like(at_x).index_add_(0, i, mass * at_y[j])
    moved = a[order] > 0
    image = torch.where(moved, sums / a[order].where(moved, 1), at_x)
    # At the border between two neighbouring particles both share the same sample.
    tie = at_y[torch.searchsorted(end_y, end_x[:-1]).clamp_(max=len(y) - 1)]
    rise = ((at_x[1:] - tie).square() - (at_x[:-1] - tie).square()) / 2
    potential = torch.cat([rise.new_zeros(1), rise.cumsum(0)])
    back = order.argsort()
    return TransportPlan(value, potential[back], image[back][:, None])
