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
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def command(directory: Path, number: int, out: Path, seed: int) -> None:
    """Draw samples of the model in DIRECTORY, with their log-density as the last column.

    Columns are in the data's units; in an npy file the array has shape (n, d + 1).
    """
    import torch

    from wopt.data.tables import check_writable, write_table
    from wopt.run.load import load

    check_writable(out)
    loaded = load(directory)
    x, log_density = loaded.flow.sample_and_log_prob(number, seed)
    table = torch.cat([x.double(), log_density.double()[:, None]], dim=1).cpu().numpy()
    write_table(out, table, (*loaded.names, "log_density"))
    click.echo(f"{number} samples of {loaded.flow.dim} columns and log_density: {out}")
