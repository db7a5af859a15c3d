"""``wopt data``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("data")
@click.argument("names", nargs=-1)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder [default: $WOPT_DATA, or ../shared/data, which the examples read].",
)
def data_command(names: tuple[str, ...], folder: Path | None) -> None:
    """Copy data sets that the examples read from their original place; without NAMES, list them.

    Every file has a fixed version and a checksum. The licence is that of the source.
    """
    from wopt_measures.fetch import data_sets, fetch

    known = data_sets()
    for name in names:
        for path in fetch(name, folder):
            click.echo(str(path))
        click.echo(f"{name}: licence {known[name].licence}, {known[name].source}", err=True)
    if not names:
        width = max(map(len, known))
        for name, each in known.items():
            made = "" if each.files else " (made by hand)"
            click.echo(f"{name:{width}}  {each.title}; {each.licence}{made}")
