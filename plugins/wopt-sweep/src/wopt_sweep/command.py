"""``wopt sweep``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wopt.cli import json_option, print_json, quiet_option
from wopt.reading import printable

if TYPE_CHECKING:
    from wopt_sweep import Summary, SweepRun


@click.command("sweep")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--grid", multiple=True, metavar="K=V1,V2", help="Try these values; repeatable.")
@click.option(
    "--range", "ranges", multiple=True, metavar="K=LOW:HIGH[:log]", help="Search this interval."
)
@click.option("--seeds", type=click.IntRange(1), default=1, help="Runs per setting [default: 1].")
@click.option("--optuna", "trials", type=click.IntRange(1), help="Number of settings to search.")
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option of all.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [default: runs/NAME-sweep].")
@quiet_option
@json_option
def sweep_command(
    config: Path,
    grid: tuple[str, ...],
    ranges: tuple[str, ...],
    seeds: int,
    trials: int | None,
    settings: tuple[str, ...],
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run CONFIG at several settings and seeds; write a table, a page and the best configuration.

    The same command again continues after Ctrl-C. Settings are compared by the held-out NLL after
    the last step (or the energy), not by test rows.
    """
    from wopt.cli import warn_of_plugins
    from wopt.config import override, read_toml
    from wopt.errors import ConfigError
    from wopt_sweep import Interrupted, Sweep, SweepDesign, grid_of, ranges_of, search

    warn_of_plugins()
    plan = SweepDesign(grid_of(grid), ranges_of(ranges), seeds, trials)
    if plan.ranges and trials is None:
        raise ConfigError("--range needs a search: add --optuna N, or give values with --grid")
    if set(plan.grid) & set(plan.ranges):
        raise ConfigError("a key is in --grid and in --range; leave one out")
    reported = _tell_nobody if quiet or as_json else _tell
    base = override(read_toml(config), settings)
    sweep = Sweep(out or Path("runs") / f"{config.stem}-sweep", base, plan, reported)
    status = 0
    try:
        search(sweep, trials) if trials is not None else sweep.grid()
    except Interrupted as stop:
        click.echo(str(stop), err=as_json)
        status = stop.exit_code
    summaries = sweep.finish()
    paths = [path for path in (sweep.table, sweep.best, sweep.page) if path.exists()]
    if as_json:
        settings_tried = [dataclasses.asdict(summary) for summary in summaries]
        print_json({"settings": settings_tried, "files": [str(path) for path in paths]})
    elif not quiet:
        _show(summaries)
        for path in paths:
            click.echo(str(path))
    return status or (0 if sweep.best.exists() else 1)


def _tell(row: SweepRun) -> None:
    value = "" if row.value is None else f", {row.value:.6g}"
    name = " ".join(row.setting) or "as it is"
    reason = "" if row.status == "done" else f": {row.reason}"
    click.echo(printable(f"{row.run}  {name}  seed {row.seed}  {row.status}{value}{reason}"))


def _tell_nobody(_: SweepRun) -> None:
    pass


def _show(summaries: list[Summary]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("setting", overflow="fold")  # a truncated value cannot be used
    for heading in ("held-out", "+-", "runs", "done", "CPU s"):
        table.add_column(heading, no_wrap=True)
    for summary in summaries:
        done = sum(row.status == "done" for row in summary.rows)
        seconds = sum(row.cpu_seconds or 0.0 for row in summary.rows)
        value = f"{summary.value:.6g}" if summary.value < float("inf") else "-"
        error = "-" if summary.error is None else f"{summary.error:.2g}"
        name = "\n".join(summary.setting) or "as it is"
        table.add_row(name, value, error, str(len(summary.rows)), str(done), f"{seconds:.1f}")
    Console(highlight=False, markup=False).print(table)
