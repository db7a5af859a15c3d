"""``wopt run``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("run")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run directory [default: runs/NAME].")
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option.")
def command(config: Path, out: Path | None, settings: tuple[str, ...]) -> int:
    """Train a flow as CONFIG says and leave a run directory with a report.

    Exit status: 0 done, 1 a failed run, 2 a mistake in what was asked for, 130 interrupted.
    """
    from wopt.cli.common import exit_status, read, warn_of_plugins
    from wopt.cli.console import RunTerminal
    from wopt.runs.execute import run

    warn_of_plugins()
    chosen = read(config, settings)
    result = run(chosen, out or Path("runs") / config.stem, RunTerminal())
    return exit_status(result)
