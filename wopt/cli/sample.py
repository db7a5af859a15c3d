"""``wopt sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

    from wopt.flow import Flow

__all__ = ["command"]


@click.command("sample")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("-n", "number", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="npy, csv or parquet."
)
@click.option(
    "--conditions",
    type=click.Path(path_type=Path),
    help="A table with the context columns of a conditional model: one sample for each row.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def command(directory: Path, number: int, out: Path, conditions: Path | None, seed: int) -> None:
    """Draw samples of the model in DIRECTORY, with their log-density as the last column.

    Columns are in the data's units; in an npy file the array has shape (n, d + 1). A conditional
    model draws for the rows of --conditions, or for conditions of the training data.
    """
    import numpy as np
    import torch

    from wopt.data.tables import check_writable, write_table
    from wopt.runs.load import load_run

    check_writable(out)
    flow = load_run(directory).flow
    generator = torch.Generator().manual_seed(seed)
    if conditions is None:
        x, log_density = flow.sample_and_log_prob(number, generator=generator, audit=True)
    else:
        given = _conditions(conditions, flow, directory)
        number = len(given)
        y, log_density = flow.sample_and_log_prob(generator=generator, conditions=given, audit=True)
        x = torch.cat([y.double(), given.to(y.device)], dim=1)
    table = torch.cat([x.double(), log_density.double()[:, None]], dim=1).cpu().numpy()
    write_table(out, table, (*flow.names, "log_density"))
    if lost := int((~np.isfinite(table).all(axis=1)).sum()):
        click.secho(
            f"warning: {lost} of {number} samples are not finite: the maps overflowed there. "
            "Train longer, or with another block",
            fg="yellow",
            err=True,
        )
    click.echo(f"{number} samples of {flow.dim} columns and log_density: {out}")


def _conditions(path: Path, flow: Flow, directory: Path) -> Tensor:
    """Return the conditions in a table, found by name or, failing that, by position."""
    import torch

    from wopt.data.tables import read_table
    from wopt.errors import DataError

    width = flow.condition
    if not width:
        raise DataError(f"{directory}: is no conditional model; leave out --conditions")
    table, found = read_table(path)
    wanted = flow.names[-width:]
    if set(wanted) <= set(found):
        table = table[:, [found.index(name) for name in wanted]]
    elif table.shape[1] != width:
        raise DataError(
            f"{path}: has {table.shape[1]} columns ({', '.join(found[:8])}), and the "
            f"model's conditions are {', '.join(wanted)}"
        )
    return torch.from_numpy(table)
