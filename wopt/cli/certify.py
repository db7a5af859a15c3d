"""``wopt certify``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("certify")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--set", "settings", multiple=True, metavar="K=V",
    help="An option of the certifier, such as particles=50000 or iterations=1000.",
)  # fmt: skip
def command(directory: Path, settings: tuple[str, ...]) -> None:
    """Measure the certificate of the run in DIRECTORY anew, on particles it was not trained on.

    Writes certificate.json and the report. It measures the first-order error of each step, with
    its interval; states every bound that follows, side by side; and says of the model how far it
    is from the data, with the errors of the inverse. It takes a quarter of training's processor
    time (`--set budget=1` takes as much as training; `--set budget=0` any).
    """
    from wopt.cli.console import RunTerminal
    from wopt.config.read import override
    from wopt.report import render
    from wopt.runs.certify import certify_run

    options = override({}, settings)
    terminal = RunTerminal()
    found = certify_run(directory, options=options, listener=terminal)
    report = render(directory)
    terminal.certificate(found)
    click.echo(str(report))
