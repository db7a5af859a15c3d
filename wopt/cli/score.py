"""``wopt score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wopt.cli.output import json_option, print_json, quiet_option, waiting

if TYPE_CHECKING:
    from torch import Tensor

    from wopt.runs.loading import LoadedRun


@click.command("score")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="npy, csv or parquet."
)
@click.option("--key", help="Name of the array in an npz file.")
@quiet_option
@json_option
def score_command(
    directory: Path, data: Path, out: Path, key: str | None, quiet: bool, as_json: bool
) -> None:
    """Write the log-likelihood of every row of DATA under the model in DIRECTORY, in nats.

    DATA is a table (npy, npz, csv, parquet, or a file as the run was trained on, such as h5ad) in
    the data's units; columns are found by name. The likelihood is audited by the finer,
    independent integration. For integers and categories it is a lower bound of the log-probability,
    estimated with 16 draws of the noise that spreads them.

    A missing value that samples can have too is a value. Where one is missing that training always
    had, the row gets an estimate of the likelihood of what is seen, and a message has its error.
    """
    with waiting("scoring", quiet=quiet or as_json):
        from wopt.data.tables import check_writable, write_table
        from wopt.flow.conversions import log_mass_bound
        from wopt.flow.exact import precise
        from wopt.flow.marginal import log_marginal
        from wopt.runs.loading import load_run
        from wopt.statistics import mean_and_error

        check_writable(out)
        loaded = load_run(directory)
        flow = precise(loaded.flow)
        x = _rows(loaded, data, key)
        gaps, bound = x.isnan().any(1), flow.described.discrete
        scores, errors = log_marginal(flow, x, audit=True)
        if bound:  # of whole cells
            scores = log_mass_bound(flow, x, audit=True)
        scores, guessed = scores.double().cpu(), errors[gaps]
    write_table(out, scores[:, None].numpy(), ("log_likelihood",))
    values = scores[~scores.isnan() & ~gaps]
    lost = int((scores.isnan() & ~gaps).sum())
    mean, error = mean_and_error(values)
    if as_json:
        print_json(
            {
                "out": out, "rows": len(x), "missing": len(guessed), "not_inverted": lost,
                "lower_bound": bound,
                "mean_log_likelihood": mean, "standard_error": error,
            }
        )  # fmt: skip
    elif not quiet:
        click.echo(
            f"{len(values)} rows, {'a lower bound of the ' if bound else ''}mean log-likelihood "
            f"{mean:.5g} nats (standard error {error:.2g}): {out}"
        )
    _tell(lost, guessed, len(x))


def _tell(lost: int, guessed: Tensor, rows: int) -> None:
    """Print how many rows are scored NaN, or by an estimate, and why."""
    if lost:
        click.secho(
            f"warning: {lost} of {rows} rows are scored NaN: no point was found that the maps "
            "carry there, so their inverse is not known; train longer, or with another block",
            fg="yellow",
            err=True,
        )
    if len(guessed):
        click.echo(
            f"{len(guessed)} of {rows} rows have a missing value where training rows had none: "
            "their likelihood is an estimate of that of what is seen (standard error about "
            f"{float(guessed.median()):.2g} nats; NaN where a condition is missing)",
            err=True,
        )


def _rows(loaded: LoadedRun, data: Path, key: str | None) -> Tensor:
    """Return the rows of a file as numbers, NaN where a value is missing."""
    from wopt.cli.common import rows_of
    from wopt.data.dataset import check_finite
    from wopt.data.rows import matched

    flow = loaded.flow
    columns = flow.described
    table, named = rows_of(loaded.config.source, data, key)
    last = table.column_names[-1]
    width = len(columns.of_table)
    if not named and table.num_columns == width + 1 and last == f"x{width}":
        table = table.drop_columns([last])  # the log-density, as `wopt sample` writes it
    x = matched(table, columns, named=named, origin=str(data))
    check_finite(x.masked_fill(x.isnan(), 0.0), columns.names, str(data))
    return x
