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
    is from the data, with the errors of the inverse.
    """
    from rich.progress import Progress

    from wopt.cli.certificate import show
    from wopt.config.read import override
    from wopt.report import render
    from wopt.runs.certify import certify_run

    options = override({}, settings)
    with Progress(transient=True) as bar:
        task = bar.add_task("certifying, step by step", total=None)
        found = certify_run(
            directory,
            options=options,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    report = render(directory)
    show(found)
    click.echo(str(report))
