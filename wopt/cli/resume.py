"""``wopt resume``."""

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


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path))
@verbose_option
@quiet_option
@json_option
def resume_command(directory: Path, verbose: bool, quiet: bool, as_json: bool) -> int:
    """Continue the run in DIRECTORY from its last finished step.

    On the CPU the result is the same, to the bit, as that of an unbroken run.
    """
    with waiting("starting", quiet=quiet or as_json):
        from wopt.cli.common import exit_status, warn_of_plugins
        from wopt.runs.execute import resume

        warn_of_plugins()
        listener = listener_for(quiet, as_json, verbose)
    result = resume(directory, listener)
    if as_json and first():
        print_json(result_table(result, directory))
    return exit_status(result)
