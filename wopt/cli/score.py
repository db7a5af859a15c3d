"""``wopt score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wopt.cli.output import json_option, print_json, quiet_option, waiting

if TYPE_CHECKING:
    from torch import Tensor

    from wopt.runs.loading import LoadedRun

__all__ = ["command"]


@click.command("score")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="npy, csv or parquet."
)
@click.option("--key", help="Name of the array in an npz file.")
@quiet_option
@json_option
def command(
    directory: Path, data: Path, out: Path, key: str | None, quiet: bool, as_json: bool
) -> None:
    """Write the log-likelihood of every row of DATA under the model in DIRECTORY, in nats.

    DATA is a table (npy, npz, csv, parquet, or a file as the run was trained on, such as h5ad) in
    the data's units; columns are found by name. The likelihood is audited by the finer,
    independent integration. For integers and categories it is a lower bound of the log-probability,
    estimated with 16 draws of the noise that spreads them.

    Rows with a missing value are refused, or get NaN if the model was trained with nan = "drop" or
    "mask"; with "mask" the model accepts missing conditions, which do not give NaN.
    """
    with waiting("scoring", quiet=quiet or as_json):
        import torch

        from wopt.data.tables import check_writable, write_table
        from wopt.flow.conversions import log_mass_bound
        from wopt.flow.exact import precise
        from wopt.runs.loading import load_run
        from wopt.statistics import mean_and_error

        check_writable(out)
        loaded = load_run(directory)
        flow = precise(loaded.flow)
        x = _rows(loaded, data, key)
        whole = torch.isfinite(x).all(1)
        scores = torch.full((len(x),), torch.nan, dtype=torch.float64)
        scores[whole] = log_mass_bound(flow, x[whole], audit=True).double().cpu()
    write_table(out, scores[:, None].numpy(), ("log_likelihood",))
    values = scores[whole]
    lost = values.isnan()
    values = values[~lost]
    mean, error = mean_and_error(values)
    bound = flow.columns is not None and flow.columns.discrete
    left = int((~whole).sum())
    if as_json:
        print_json(
            {
                "out": out, "rows": len(x), "missing": left, "not_inverted": int(lost.sum()),
                "lower_bound": bound,
                "mean_log_likelihood": mean, "standard_error": error,
            }
        )  # fmt: skip
    elif not quiet:
        click.echo(
            f"{len(values)} rows, {'a lower bound of the ' if bound else ''}mean log-likelihood "
            f"{mean:.5g} nats (standard error {error:.2g}): {out}"
        )
    _tell(int(lost.sum()), left, len(x))


def _tell(lost: int, missing: int, rows: int) -> None:
    """Print how many rows are scored NaN, and why."""
    if lost:
        click.secho(
            f"warning: {lost} of {rows} rows are scored NaN: no point was found that the maps "
            "carry there, so their inverse is not known; train longer, or with another block",
            fg="yellow",
            err=True,
        )
    if missing:
        click.echo(f"{missing} of {rows} rows have a missing value and are scored NaN", err=True)


def _rows(loaded: LoadedRun, data: Path, key: str | None) -> Tensor:
    """Return the rows of a file as numbers; missing values are refused as in training."""
    from wopt.cli.common import rows_of
    from wopt.data.columns import Columns
    from wopt.data.dataset import check_finite
    from wopt.data.rows import matched

    flow = loaded.flow
    columns = flow.columns or Columns.on_the_line(loaded.names, flow.condition)
    table, named = rows_of(loaded.config.source, data, key)
    last = table.column_names[-1]
    width = len(columns.of_table)
    if not named and table.num_columns == width + 1 and last == f"x{width}":
        table = table.drop_columns([last])  # the log-density, as `wopt sample` writes it
    x = matched(table, columns, named=named, origin=str(data))
    if loaded.config.source.options.get("nan") not in ("drop", "mask"):
        check_finite(x, columns.names, str(data))
    return x
