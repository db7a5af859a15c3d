"""``wopt plan``."""

from __future__ import annotations

from pathlib import Path

import click

from wopt.cli.output import json_option, print_json, waiting


@click.command("plan")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--budget", metavar="TIME", help="Processor time, such as 90s or 5min [default: 60s]."
)
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option.")
@json_option
def plan_command(data: Path, budget: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Show the options that would be chosen for DATA, a data file or a configuration, and why.

    The options are printed as a configuration that `wopt run` takes. Candidates are tried as
    they would be; nothing else is run.
    """
    import tomli_w

    from wopt.cli.common import config_table, warn_of_plugins

    warn_of_plugins()
    table = config_table(data, settings, budget)
    with waiting("trying options", quiet=as_json):
        from wopt.config.model import to_table
        from wopt.runs.building import build_problem

        prepared = build_problem({"plan": {}, **table}, where=str(data))
    assert prepared.config.plan is not None
    if as_json:
        print_json({"told": prepared.config.plan.summary, "config": to_table(prepared.config)})
        return
    click.echo(f"# {prepared.config.plan.summary}")
    click.echo(tomli_w.dumps(to_table(prepared.config)))
