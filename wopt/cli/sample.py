"""``wopt sample``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wopt.cli.output import json_option, print_json, quiet_option, waiting
from wopt.errors import ConfigError
from wopt.host import host

if TYPE_CHECKING:
    from torch import Tensor

    from wopt.flow import Flow
    from wopt.runs.loading import LoadedRun

_COPIES = 3
"""Least number of copies of the samples in memory: noise, images, the table."""


@click.command("sample")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "number",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of samples.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="npy, csv or parquet."
)
@click.option(
    "--conditions",
    type=click.Path(path_type=Path),
    help="A table with the conditions of a conditional model: one sample for each row.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the samples.",
)
@click.option(
    "--importance",
    is_flag=True,
    help="Two more columns: log_weight, the target's log-density less the model's, up to a "
    "constant, and weight, Pareto-smoothed, summing to one.",
)
@click.option(
    "--time",
    "times",
    type=float,
    multiple=True,
    help="Time in a run through snapshots or an evolution; several give trajectories.",
)
@click.option("--velocities", is_flag=True, help="More columns: the velocity, with --time.")
@quiet_option
@json_option
def sample_command(
    directory: Path,
    number: int,
    out: Path,
    conditions: Path | None,
    seed: int,
    importance: bool,
    times: tuple[float, ...],
    velocities: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw samples of the model in DIRECTORY, with their log-density as the last column.

    Columns are in the data's units, integers and categories as such; in an npy file, which holds
    numbers alone, the array has shape (n, d + 1), or (n, d + 3) with --importance, and texts are
    codes. A conditional model draws for the rows of --conditions, or for conditions of the training
    data. For integers and categories the log-density is the lower bound that `wopt score` gives.
    Samples are drawn and scored in float64; inexact inverses of the maps are corrected, and a
    warning counts those that cannot be. A model that carries the rows of one population to another
    draws from rows it was not trained on, without a density. With --time it draws from all rows of
    the last population at or before the first of the times and carries them on: columns particle,
    time, the data's, and with --velocities those of the velocity; a particle has one row per time.
    For an evolution, a start carried by steps of times t_n, it draws from the start, at time 0.
    """
    silent = quiet or as_json
    run = _read(directory, out, number, silent)
    if times or velocities:
        if importance or conditions is not None:
            raise ConfigError("--time has no use for --importance and --conditions; leave them out")
        rows = host().registry.function("times")(
            run, directory, out, number, times, seed, velocities=velocities
        )
        _tell_times(out, number, len(times), rows, quiet, as_json)
        return
    given = _conditions(conditions, run, directory)
    with waiting("drawing samples", quiet=silent):
        x, log_density, warned = _drawn(run.flow, number, seed, given)
    names = [_free(name, run.flow) for name in ("log_density", "log_weight", "weight")]
    extra_columns = {names[0]: log_density.double().cpu()}
    if importance:
        weigh = host().registry.function("weights")
        weights = weigh(run, directory, x, log_density, quiet=silent)
        extra_columns |= dict(zip(names[1:], weights.T, strict=True))
    _write(out, run.flow, x, extra_columns)
    lost = _overflown(run.flow, x)
    warned += [_LOST.format(lost, len(x))] * (lost > 0)
    for message in warned:
        click.secho(f"warning: {message}", fg="yellow", err=True)
    if as_json:
        print_json({"out": out, "samples": len(x), "not_finite": lost, "warnings": warned})
    elif not quiet:
        words = f"{len(x)} samples of {run.flow.dim} columns and {', '.join(extra_columns)}"
        click.echo(f"{words}: {out}")


_LOST = (
    "{} of {} samples are not finite: the maps overflowed there. Train longer, or with another "
    "block"
)


def _read(directory: Path, out: Path, number: int, silent: bool) -> LoadedRun:
    """Return the run, if so many samples can be written; torch is imported here."""
    with waiting("reading the run", quiet=silent):
        from wopt.data.tables import check_writable
        from wopt.memory import check_room
        from wopt.runs.loading import load_run

        check_writable(out)
        run = load_run(directory)
    needed = _COPIES * 8.0 * number * (run.flow.dim + 1)
    check_room(needed, f"{number} samples; ask for fewer (-n)")
    return run


def _overflown(flow: Flow, x: Tensor) -> int:
    """Return the number of samples that are not finite, gaps of the data's kind excepted."""
    from wopt.data.rows import completed

    return int((~completed(flow.described, x).isfinite().all(dim=1)).sum())


def _tell_times(out: Path, number: int, times: int, rows: int, quiet: bool, as_json: bool) -> None:
    """Print what was written."""
    if as_json:
        print_json({"out": out, "samples": number, "times": times, "rows": rows})
    elif not quiet:
        click.echo(f"{number} particles at {times} time(s), {rows} rows: {out}")


def _drawn(
    flow: Flow, number: int, seed: int, conditions: Tensor | None
) -> tuple[Tensor, Tensor, list[str]]:
    """Return samples, with conditions one for each row, their log-density, and warnings."""
    import torch

    from wopt.flow.conversions import log_mass_bound
    from wopt.flow.exact import InexactInverse, precise

    flow = precise(flow)
    rng = torch.Generator().manual_seed(seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InexactInverse)
        x, log_density = flow.sample_and_log_prob(
            number if conditions is None else (),
            generator=rng,
            conditions=conditions,
            audit=True,
        )
    if conditions is not None:
        x = torch.cat([x.double(), conditions.to(x.device)], dim=1)
    if flow.described.discrete and not log_density.isnan().all():
        log_density = log_mass_bound(flow, x, audit=True)  # of whole cells, as in `wopt score`
    reported = [str(one.message) for one in caught if one.category is InexactInverse]
    if bool(log_density.isnan().all()):
        reported.append("log_density is NaN: this model has samples but no known density")
    return x, log_density, reported


def _write(out: Path, flow: Flow, x: Tensor, extra_columns: dict[str, Tensor]) -> None:
    """Write samples and further columns, with names and categories if the file type has them."""
    import torch

    from wopt.data.frames import array_of
    from wopt.data.tables import write_frame, write_table

    if out.suffix.lower() == ".npy":
        rows = torch.as_tensor(array_of(x, flow.described))
        table = torch.cat([rows, torch.stack([*extra_columns.values()], dim=1)], dim=1)
        write_table(out, table.numpy(), (*flow.described.of_table, *extra_columns))
        return
    made = flow.table(x)
    for name, values in extra_columns.items():
        made = made.append_column(name, [values.numpy()])
    write_frame(out, made)


def _free(name: str, flow: Flow) -> str:
    """Return a name that no column of the data has."""
    while name in flow.described.of_table:
        name += "_"
    return name


def _conditions(path: Path | None, run: LoadedRun, directory: Path) -> Tensor | None:
    """Return the conditions in a table: by name, or by position if it has no names."""
    if path is None:
        return None
    from wopt.cli.common import rows_of
    from wopt.data.dataset import check_finite
    from wopt.data.rows import matched
    from wopt.errors import DataError

    flow = run.flow
    width = flow.condition
    if not width:
        raise DataError(f"{directory}: is not a conditional model; leave out --conditions")
    wanted = flow.described.pick(flow.names[-width:])
    table, named = rows_of(run.config.source, path)
    rows = matched(table, wanted, named=named, origin=str(path))
    check_finite(rows, wanted.names, str(path))
    return rows
