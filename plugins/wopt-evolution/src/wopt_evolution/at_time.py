"""Particles of a flow whose steps have times: where they are, and how fast, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wopt.data.snapshots import Clock
from wopt.errors import DataError

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

__all__ = ["at_times"]


@torch.no_grad()
def at_times(
    flow: Flow, clock: Clock, x: Tensor, begin: float, times: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return where particles are at some times, and their velocities there.

    Args:
        flow: Whose blocks carry them.
        clock: When the blocks begin and end.
        x: The particles at the time ``begin``, in the data's units, shape ``(n, d)``.
        begin: When they are there: where a step begins.
        times: Not before ``begin``, in any order.

    Returns:
        Positions and velocities, each of shape ``(len(times), n, d)``, in the data's units; at the
        border of two steps the velocity is that of the step before, at ``begin`` that of the step
        that begins there, and 0 where none does.

    Raises:
        DataError: A time is before ``begin`` or not covered.

    Example:
        >>> import torch, wopt
        >>> from wopt.testing import AffineBlock
        >>> units = wopt.AffineTransform.fit(torch.randn(9, 1), "none")
        >>> shift = AffineBlock(1)
        >>> _ = shift.shift.data.fill_(2.0)
        >>> flow = wopt.Flow(wopt.Chain([shift], units), None)
        >>> x, v = at_times(flow, Clock((0.0, 4.0)), torch.zeros(1, 1), 0.0, [1.0])
        >>> x.flatten().tolist(), v.flatten().tolist()
        ([0.5], [0.5])
    """
    first, _ = clock.place(begin)
    if begin > clock.times[first]:
        first += 1
    places = [clock.place(time) for time in times]
    if min(times) < begin:
        raise DataError(f"time {min(times):g} is before {begin:g}, when these particles begin")
    if first == len(clock.times) - 1:  # the end, where nothing moves on
        return torch.stack([x] * len(times)), torch.zeros(len(times), *x.shape).to(x)
    places = [place if place[0] >= first else (first, 0.0) for place in places]
    path = [flow.transform(x).to(flow.chain.like)]
    for block in flow.blocks[first : max(step for step, _ in places) + 1]:
        path.append(block.move(path[-1]))
    ends = [flow.transform.inverse(z) for z in path]
    where, speed = [], []
    for step, share in places:
        before, after = ends[step - first : step - first + 2]
        where.append(torch.lerp(before, after, share))
        speed.append((after - before) / (clock.times[step + 1] - clock.times[step]))
    return torch.stack(where), torch.stack(speed)
