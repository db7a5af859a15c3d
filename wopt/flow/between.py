"""Particles on their way, at a fraction of the length of the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wopt.errors import DataError

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

__all__ = ["between"]


@torch.no_grad()
def between(flow: Flow, x: Any, fraction: float) -> Tensor:
    """Return particles at a fraction of the way, shape ``(n, d)``, see :meth:`Flow.between`.

    Raises:
        DataError: ``fraction`` is not in [0, 1].
    """
    if not 0 <= fraction <= 1:
        raise DataError(f"share is one of the way, from 0 to 1, got {fraction}")
    path = flow.trajectory(x)
    lengths = (path[1:] - path[:-1]).double().square().sum(2).mean(1).sqrt()
    ends = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    if not float(ends[-1]) > 0:
        return flow.transform.inverse(path[0])
    at = fraction * float(ends[-1])
    k = min(int((ends[1:] < at).sum()), len(lengths) - 1)
    part = 1.0 if lengths[k] == 0 else (at - float(ends[k])) / float(lengths[k])
    return flow.transform.inverse(torch.lerp(path[k], path[k + 1], min(part, 1.0)))
