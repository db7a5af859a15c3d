"""``wopt validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wopt.cli.output import json_option, print_json, waiting

if TYPE_CHECKING:
    from wopt.runs.preparation import Prepared


@click.command("validate")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option.")
@click.option("--show", is_flag=True, help="Print the resolved configuration.")
@json_option
def validate_command(config: Path, settings: tuple[str, ...], show: bool, as_json: bool) -> None:
    """Check CONFIG for all that `wopt run` would refuse before its first step.

    Names, options and the fit of the parts are checked, the data are read and preprocessed, and
    descriptions of their columns are printed.
    """
    import tomli_w

    with waiting("reading the data", quiet=as_json):
        from wopt.cli.common import read_config, warn_of_plugins

        warn_of_plugins()
        chosen = read_config(config, settings)
        from wopt.config.model import to_table
        from wopt.runs.building import build_problem

        chosen.source.check()
        prepared = build_problem(chosen)
    if show:
        click.echo(tomli_w.dumps(to_table(chosen)))
        return
    if as_json:
        print_json({"valid": True, "about": _about(prepared), "config": to_table(chosen)})
        return
    click.echo(f"{config}: valid")
    for line in _about(prepared):
        click.echo(f"  {line}")


def _about(prepared: Prepared) -> list[str]:
    """Return descriptions of a run's data and model."""
    data = prepared.dataset
    assert data is not None
    sizes = (
        f"{len(data.train)} + {len(data.valid)} + {len(data.test)} rows (training, held out, test)"
    )
    model = (
        "the source carried to the target" if prepared.pushes else "the law of the source's rows"
    )
    lines = [f"data: {sizes} of {data.dim} columns", f"model: {model}"]
    columns = data.transform.columns
    words = [column.words() for column in columns.columns] if columns else list(data.names)
    for j, text in enumerate(words[:_SHOWN]):
        given = j >= data.dim - data.condition
        lines.append(f"column {text}" + (" (condition)" if given else ""))
    lines += [f"... {len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
    return lines + (data.table.lines() if data.table is not None else [])


_SHOWN = 20
