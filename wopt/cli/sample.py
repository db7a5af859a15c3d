"""``wopt sample``."""

from __future__ import annotations

from pathlib import Path

import click

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

    from wopt.data.tables import check_writable, read_table, write_table
    from wopt.errors import DataError
    from wopt.runs.load import load

    check_writable(out)
    loaded = load(directory)
    given = None
    if conditions is not None:
        width = loaded.flow.transform.condition
        if not width:
            raise DataError(f"{directory}: is no conditional model; leave out --conditions")
        table, found = read_table(conditions)
        wanted = loaded.names[-width:]
        if set(wanted) <= set(found):
            table = table[:, [found.index(name) for name in wanted]]
        elif table.shape[1] != width:
            raise DataError(
                f"{conditions}: has {table.shape[1]} columns ({', '.join(found[:8])}), and the "
                f"model's conditions are {', '.join(wanted)}"
            )
        given, number = torch.from_numpy(table), len(table)
    x, log_density = loaded.flow.sample_and_log_prob(number, seed, given)
    table = torch.cat([x.double(), log_density.double()[:, None]], dim=1).cpu().numpy()
    write_table(out, table, (*loaded.names, "log_density"))
    if lost := int((~np.isfinite(table).all(axis=1)).sum()):
        click.secho(
            f"warning: {lost} of {number} samples are not finite: the maps overflowed there. "
            "Train longer, or with another block",
            fg="yellow",
            err=True,
        )
    click.echo(f"{number} samples of {loaded.flow.dim} columns and log_density: {out}")
