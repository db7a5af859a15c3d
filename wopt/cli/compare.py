"""``wopt compare``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("compare")
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="DIRECTORY...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="compare.html",
    show_default=True,
    help="The page.",
)
def command(directories: tuple[Path, ...], out: Path) -> None:
    """Show runs side by side: a table here, curves by step and by processor time on a page."""
    from rich.console import Console
    from rich.table import Table

    from wopt.report.compare import COLUMNS, compare, rows
    from wopt.store.directory import RunDirectory

    for directory in directories:
        RunDirectory(directory).read_config()
    found = rows(directories)
    table = Table("run")
    for _, heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        shown = (row.values[key] for key, _ in COLUMNS)
        table.add_row(row.name, *("-" if v is None else f"{v:.4g}" for v in shown))
    console = Console(highlight=False)
    console.width = max(console.width, 116)  # no heading is cut short
    console.print(table)
    for key in found[0].differs:
        values = ", ".join(f"{row.name}: {row.differs[key]}" for row in found)
        console.print(f"{key}  {values}", markup=False, soft_wrap=True)
    console.print(str(compare(found, out)), markup=False)
