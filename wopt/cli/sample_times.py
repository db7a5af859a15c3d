"""``wopt sample --time``: particles of a run through snapshots, at times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wopt.errors import CapabilityError, ConfigError

if TYPE_CHECKING:
    from wopt.runs.load import LoadedRun

__all__ = ["write_times"]


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
    """Write particles at some times, and return how many rows there are.

    Args:
        run: Read from the directory.
        directory: For messages.
        out: npy, csv or parquet.
        number: How many particles.
        times: At each of which every particle has a row.
        seed: Of the choice of rows that begin.
        velocities: Also write them.

    Raises:
        CapabilityError: The run is none through snapshots.
        ConfigError: No time is given.
        DataError: A time is not covered, or the data are not those of the run.
    """
    import torch

    from wopt.data.tables import write_table
    from wopt.flow.at_time import at_times
    from wopt.runs.fingerprint import check_data
    from wopt.seeds import derive
    from wopt.store.directory import RunDirectory

    source = run.config.source
    if not times:
        raise ConfigError("--velocities are those at a time; give one, such as --time 1.5")
    snapshots = source.snapshots()
    if snapshots is None:
        raise CapabilityError(
            f"{directory}: --time is for runs through populations at several times, whose source "
            "is `snapshots`; leave it out"
        )
    check_data(RunDirectory(directory), source, source.loaded(derive(run.config.seed, "source")))
    clock = snapshots.clock(len(run.flow.blocks))
    clock.place(min(times))  # before anything is carried
    begin, rows = snapshots.before(min(times))
    draw = torch.Generator().manual_seed(seed)
    if number <= len(rows):
        chosen = torch.randperm(len(rows), generator=draw)[:number]
    else:
        chosen = torch.randint(len(rows), (number,), generator=draw)
    x, v = at_times(run.flow, clock, rows[chosen], begin, times)
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
