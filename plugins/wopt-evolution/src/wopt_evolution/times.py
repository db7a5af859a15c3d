"""``wopt sample --time``: particles at times, of a run through snapshots or of an evolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.data import write_table
from wopt.errors import CapabilityError, ConfigError
from wopt.runs import LoadedRun, check_data
from wopt.seeds import derive
from wopt.store import RunDirectory
from wopt_evolution.populations import at_times
from wopt_evolution.snapshots import EvolutionClock, MeasuredPopulations


def write_times(
    run: LoadedRun,
    directory: Path,
    out: Path,
    number: int,
    times: Sequence[float],
    seed: int,
    *,
    velocities: bool,
) -> int:
    """Write particles at some times, and return the number of rows.

    Args:
        times: Times at each of which every particle has a row.
        velocities: Whether to write velocities too.

    Raises:
        CapabilityError: The run's steps do not have times.
        ConfigError: No time is given.
        DataError: A time is not covered, or the data are not those of the run.
    """
    if not times:
        raise ConfigError("--velocities are those at a time; give one, such as --time 1.5")
    snapshots, draw = run.config.source.snapshots(), torch.Generator().manual_seed(seed)
    if snapshots is None:
        clock, begin = _clock_of_evolution(run, directory), 0.0
        clock.place(min(times))  # raises before any work
        assert run.flow.base is not None
        rows = run.flow.base.sample(number, run.flow.dim, draw)
    else:
        clock = snapshots.clock(len(run.flow.blocks))
        clock.place(min(times))
        begin, rows = _rows_of_population(run, directory, snapshots, min(times), number, draw)
    x, v = at_times(run.flow, clock, rows, begin, times)
    parts = [
        torch.arange(number).repeat(len(times))[:, None].to(x),
        torch.tensor(times).repeat_interleave(number)[:, None].to(x),
        x.flatten(0, 1),
        *([v.flatten(0, 1)] if velocities else []),
    ]
    names = ("particle", "time", *run.names, *(f"v_{n}" for n in run.names if velocities))
    table = torch.cat([part.double().cpu() for part in parts], dim=1)
    write_table(out, table.numpy(), names)
    return len(table)


def _clock_of_evolution(run: LoadedRun, directory: Path) -> EvolutionClock:
    """Return the times t_n = h_1 + ... + h_n at which the steps of an evolution end."""
    flow = run.flow
    times = [record.time for record in RunDirectory(directory).read_steps()]
    known = tuple(time for time in times if time is not None)
    if flow.pulls_back or flow.chain.support is not None or len(known) != len(flow.blocks):
        raise CapabilityError(
            f"{directory}: --time is for runs through populations at several times, whose source "
            "is `snapshots`, and for evolutions, in which each step carries a start on to a target "
            "without constraints; leave it out"
        )
    return EvolutionClock((0.0, *known))


def _rows_of_population(
    run: LoadedRun,
    directory: Path,
    snapshots: MeasuredPopulations,
    time: float,
    number: int,
    rng: torch.Generator,
) -> tuple[float, Tensor]:
    """Return the time of the last population at or before ``time``, and rows of it."""
    source = run.config.source
    check_data(RunDirectory(directory), source, source.loaded(derive(run.config.seed, "source")))
    begin, rows = snapshots.before(time)
    if number <= len(rows):
        return begin, rows[torch.randperm(len(rows), generator=rng)[:number]]
    return begin, rows[torch.randint(len(rows), (number,), generator=rng)]
