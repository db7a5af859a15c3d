"""``wopt compare``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wopt.cli import json_option, print_json
from wopt.reading import printable

if TYPE_CHECKING:
    from rich.table import Table

    from wopt_certify.compare.page import ComparedRun
    from wopt_certify.compare.pairs import PairwiseComparison


@click.command("compare")
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="DIRECTORY...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="compare.html",
    show_default=True,
    help="Path of the page.",
)
@json_option
def compare_command(directories: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Show runs side by side: a table here, curves by step and by processor time on a page.

    Runs of the same source and seed challenge each other on their common test rows: "KL at least"
    is the most that another run's density, or the certificate, proves KL(data | model) to be.
    "distance" of evolutions is that from the exact solution at the end or, where no run names one,
    from the run with the most steps.
    """
    from wopt.store import RunDirectory
    from wopt_certify.compare.page import challenged, compare, rows
    from wopt_certify.compare.pairs import pairwise_comparison

    for directory in directories:
        RunDirectory(directory).read_config()
    plain = rows(directories)
    pairs = pairwise_comparison(directories, [row.name for row in plain])
    runs = challenged(plain, pairs)
    if as_json:
        print_json(_plain(runs, pairs) | {"page": str(compare(runs, out, pairs))})
        return
    _print(runs, pairs)
    click.echo(str(compare(runs, out, pairs)))


def _plain(runs: Sequence[ComparedRun], pairs: PairwiseComparison) -> dict[str, Any]:
    """Return the comparison as tables and numbers."""
    sides = [
        {"model": model.name, "by": rival.name, **side.to_dict()}
        for model, row in zip(runs, pairs.sides, strict=True)
        for rival, side in zip(runs, row, strict=True)
        if side is not None
    ]
    return {
        "runs": [{"name": row.name, **row.values, "settings": row.differs} for row in runs],
        "duels": sides,
        "reference": runs[0].reference,
        "reasons": list(pairs.reasons),
    }


def _print(runs: Sequence[ComparedRun], pairs: PairwiseComparison) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    longest = max(len(row.name) for row in runs)
    console.width = max(console.width, 127 + longest)  # so that no heading or name is cut
    console.print(_table(runs))
    say = functools.partial(console.print, markup=False, soft_wrap=True)
    for model, row in zip(runs, pairs.sides, strict=True):
        for rival, side in zip(runs, row, strict=True):
            if side is not None and side.low > 0:
                say(
                    f"{model.name} is beaten by {rival.name}: KL(data | {model.name}) is at least "
                    f"{side.low:.4g} ({side.level:.4g} confidence, {pairs.rows} common test rows)"
                )
    if runs[0].reference:
        say(f"distance: {runs[0].reference}")
    for reason in pairs.reasons:
        say(printable(reason), style="dim")
    for key in runs[0].differs:
        values = ", ".join(f"{row.name}: {row.differs[key]}" for row in runs)
        say(printable(f"{key}  {values}"))


def _table(rows: Sequence[ComparedRun]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from wopt_certify.compare.page import COLUMNS

    table = Table()
    table.add_column("run", no_wrap=True)
    for _, heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shown = (row.values[key] for key, _ in COLUMNS)
        table.add_row(Text(printable(row.name)), *("-" if v is None else f"{v:.4g}" for v in shown))
    return table
