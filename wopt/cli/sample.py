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
@click.option(
    "--importance",
    is_flag=True,
    help="Two more columns: log_weight, the target's log-density less the model's, up to a "
    "constant, and weight, Pareto-smoothed, summing to one.",
)
def command(
    directory: Path, number: int, out: Path, conditions: Path | None, seed: int, importance: bool
) -> None:
    """Draw samples of the model in DIRECTORY, with their log-density as the last column.

    Columns are in the data's units; in an npy file the array has shape (n, d + 1), or (n, d + 3)
    with --importance. A conditional model draws for the rows of --conditions, or for conditions of
    the training data.
    """
    import numpy as np
    import torch

    from wopt.data.tables import check_writable, write_table
    from wopt.runs.load import load_run

    check_writable(out)
    run = load_run(directory)
    flow = run.flow
    generator = torch.Generator().manual_seed(seed)
    if conditions is None:
        x, log_density = flow.sample_and_log_prob(number, generator=generator, audit=True)
    else:
        given = _conditions(conditions, flow, directory)
        number = len(given)
        y, log_density = flow.sample_and_log_prob(generator=generator, conditions=given, audit=True)
        x = torch.cat([y.double(), given.to(y.device)], dim=1)
    made = torch.cat([x.double(), log_density.double()[:, None]], dim=1).cpu()
    names: tuple[str, ...] = (*flow.names, "log_density")
    table = made.numpy()
    lost = int((~np.isfinite(table).all(axis=1)).sum())
    if importance:
        from wopt.cli.importance import weight_columns

        weights = weight_columns(run, directory, x, log_density)
        table, names = torch.cat([made, weights], dim=1).numpy(), (*names, "log_weight", "weight")
    write_table(out, table, names)
    if lost:
        click.secho(
            f"warning: {lost} of {number} samples are not finite: the maps overflowed there. "
            "Train longer, or with another block",
            fg="yellow",
            err=True,
        )
    click.echo(f"{number} samples of {flow.dim} columns and {', '.join(names[flow.dim :])}: {out}")


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
