"""``wopt resume``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> int:
    """Go on with the run in DIRECTORY from its last finished step.

    On the CPU the result is the same, to the bit, as that of an unbroken run.
    """
    from wopt.cli.common import exit_status, warn_of_plugins
    from wopt.cli.console import RunTerminal
    from wopt.runs.execute import resume

    warn_of_plugins()
    return exit_status(resume(directory, RunTerminal()))
