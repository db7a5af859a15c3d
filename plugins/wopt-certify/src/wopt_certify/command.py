"""``wopt certify``."""

from __future__ import annotations

from pathlib import Path

import click

from wopt.cli import json_option, listener_for, print_json, quiet_option


@click.command("certify")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--set", "settings", multiple=True, metavar="K=V",
    help="An option of [certify], such as particles=50000 or iterations=1000.",
)  # fmt: skip
@click.option("--budget", metavar="TIME", help="Processor time, such as 90s or 5min.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="A rival: another run, a saved flow, or a table of its log-densities at the test rows.",
)
@click.option(
    "--again", is_flag=True,
    help="Repeat the effort that certificate.json records, and so its numbers.",
)  # fmt: skip
@quiet_option
@json_option
def certify_command(
    directory: Path,
    settings: tuple[str, ...],
    budget: str | None,
    against: Path | None,
    again: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure the certificate of the run in DIRECTORY again, on particles not used in training.

    Writes certificate.json and the report. It measures the first-order error of each step, with
    its interval; fits challengers, other densities that try to beat the model, which say how far it
    is from the data at least; and states every bound from above that follows, with what refutes
    it. It takes a quarter of training's processor time, or --budget.
    """
    from wopt.config import override
    from wopt.plan import seconds_of
    from wopt_certify.run import certify_run
    from wopt_report import render

    options = override({}, settings)
    listener = listener_for(quiet, as_json, verbose=True)
    seconds = None if budget is None else seconds_of(budget)
    certificate = certify_run(
        directory,
        options=options,
        seconds=seconds,
        against=against,
        again=again,
        listener=listener,
    )
    report = render(directory)
    listener.certificate(certificate)
    if as_json:
        print_json(certificate.to_dict())
    elif not quiet:
        click.echo(str(report))
