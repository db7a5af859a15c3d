"""``wopt run``."""

from __future__ import annotations

from pathlib import Path

import click

from wopt.cli.output import (
    first,
    json_option,
    listener_for,
    print_json,
    quiet_option,
    result_table,
    verbose_option,
    waiting,
)


@click.command("run")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run directory [default: runs/NAME].")
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option.")
@click.option(
    "--budget",
    metavar="TIME",
    help="Processor time of the command before its measurements, such as 90s or 5min: what is not "
    "given is planned for it.",
)
@verbose_option
@quiet_option
@json_option
def run_command(
    config: Path,
    out: Path | None,
    settings: tuple[str, ...],
    budget: str | None,
    verbose: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Train a flow by CONFIG and write a run directory with a report.

    CONFIG is a TOML file; or a data file (csv, parquet, npy, npz), and then every option is chosen
    for it (`wopt plan` shows how).

    Exit status: 0 done, 1 a failed run, 2 a mistake in the input, 130 interrupted.
    """
    from wopt.cli.common import config_table, exit_status, warn_of_plugins

    warn_of_plugins()
    table = config_table(config, settings, budget)
    with waiting("starting", quiet=quiet or as_json):
        from wopt.plan.trials import left_of
        from wopt.runs.execute import run_config

        listener = listener_for(quiet, as_json, verbose)
    planned = table.get("plan")
    if isinstance(planned, dict) and not planned.get("summary"):
        planned["budget"] = left_of(planned.get("budget"))
    path = out or Path("runs") / config.stem
    result = run_config(table, path, listener, where=str(config))
    if as_json and first():
        print_json(result_table(result, path))
    return exit_status(result)
