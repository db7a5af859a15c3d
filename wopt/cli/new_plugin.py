"""``wopt new-plugin``."""

from __future__ import annotations

from pathlib import Path

import click

from wopt.registry import KINDS

__all__ = ["command"]


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="objective", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder [default: wopt-NAME].")
def command(name: str, kind: str, out: Path | None) -> None:
    """Write a plugin package called NAME that installs, runs by name and passes its tests."""
    from wopt.scaffold import make_plugin

    folder = out or Path(f"wopt-{name.replace('_', '-')}")
    for path in make_plugin(name, kind, folder):
        click.echo(str(path))
    click.echo(f"\ntry it:  pip install -e {folder}  &&  wopt check {name}")
