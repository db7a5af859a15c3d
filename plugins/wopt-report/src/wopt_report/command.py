"""``wopt report``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("directory", type=click.Path(path_type=Path))
def report_command(directory: Path) -> None:
    """Rewrite DIRECTORY/report.html."""
    from wopt.store import RunDirectory
    from wopt_report import render

    RunDirectory(directory).read_config()
    click.echo(str(render(directory)))
