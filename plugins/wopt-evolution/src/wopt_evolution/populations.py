"""A flow through populations: particles at any time, and what is measured at the end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.config import RunConfig
from wopt.errors import DataError, WoptError
from wopt.flow import Flow
from wopt.interfaces import Listener
from wopt.origin import culprit, in_words
from wopt.seeds import derive
from wopt_evolution.snapshots import EvolutionClock, PopulationsReport


@torch.no_grad()
def at_times(
    flow: Flow, clock: EvolutionClock, x: Tensor, begin: float, times: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return positions and velocities of particles at some times.

    Args:
        x: The particles at the time ``begin``, in the data's units, shape ``(n, d)``.
        begin: Time of ``x``, at which a step begins.
        times: Times not before ``begin``, in any order.

    Returns:
        Positions and velocities, each of shape ``(len(times), n, d)``, in the data's units (per
        unit of time). Between two steps the velocity is that of the first, at ``begin`` that of
        the step that begins there, or 0 if none does.
    """
    first, _ = clock.place(begin)
    if begin > clock.times[first]:
        first += 1
    places = [clock.place(time) for time in times]
    if min(times) < begin:
        raise DataError(f"time {min(times):g} is before {begin:g}, when these particles begin")
    if first == len(clock.times) - 1:  # the end, where nothing moves
        return torch.stack([x] * len(times)), torch.zeros(len(times), *x.shape).to(x)
    places = [place if place[0] >= first else (first, 0.0) for place in places]
    path = [flow.transform.move(x).to(flow.chain.like)]
    for block in flow.blocks[first : max(step for step, _ in places) + 1]:
        path.append(block.move(path[-1]))
    ends = [flow.transform.inverse(z)[0] for z in path]
    where, speed = [], []
    for step, fraction in places:
        before, after = ends[step - first : step - first + 2]
        where.append(torch.lerp(before, after, fraction))
        speed.append((after - before) / (clock.times[step + 1] - clock.times[step]))
    return torch.stack(where), torch.stack(speed)


def populations_report(
    config: RunConfig, flow: Flow, listener: Listener
) -> PopulationsReport | None:
    """Return distances of carried rows from each population, and from those left out.

    Args:
        listener: Warned if the measurement fails, which does not fail the run.

    Returns:
        The source's report; ``None`` if it has no populations or the measurement fails.
    """
    source, blocks = config.source, len(flow.blocks)
    snapshots = source.snapshots()
    if snapshots is None or not blocks:
        return None
    clock = snapshots.clock(blocks)

    def carry(x: Tensor, begin: float, time: float) -> Tensor:
        """Return rows x, shape ``(n, d)``, of one time at another."""
        return at_times(flow, clock, x, begin, [time])[0][0].cpu()

    try:
        return source.judge(carry, blocks, derive(config.seed, "populations"))
    except WoptError as error:
        why = str(error)
    except Exception as error:  # an error of a plugin must not lose the finished run
        why = f"{culprit(error) or 'wopt'}: {in_words(error)}"
    listener.warn(f"populations are not judged: {why}")
    return None
