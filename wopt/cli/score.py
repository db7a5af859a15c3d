"""``wopt score``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("score")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="npy, csv or parquet."
)
@click.option("--key", help="Which array of an npz file.")
def command(directory: Path, data: Path, out: Path, key: str | None) -> None:
    """Write the log-likelihood of every row of DATA under the model in DIRECTORY, in nats.

    DATA is a table (npy, npz, csv, parquet) in the data's units. The likelihood is audited: by the
    finer, independent integration.
    """
    import torch

    from wopt.data.dataset import check_finite
    from wopt.data.tables import check_writable, read_table, write_table
    from wopt.errors import DataError
    from wopt.runs.load import load_run

    check_writable(out)
    loaded = load_run(directory)
    flow, names = loaded.flow, loaded.names
    array, found = read_table(data, key=key)
    columns = list(found)
    # The names of arrays are made up, so only those that a file holds are looked at.
    if data.suffix.lower() in (".csv", ".parquet") and set(names) <= set(columns):
        array = array[:, [columns.index(name) for name in names]]
    elif array.shape[1] == flow.dim + 1 and columns[-1] in ("log_density", f"x{flow.dim}"):
        # as `wopt sample` writes it
        array = array[:, :-1]
    if array.shape[1] != flow.dim:
        raise DataError(
            f"{data}: has {array.shape[1]} columns ({', '.join(columns[:8])}), and the model needs "
            f"{flow.dim}: {', '.join(names[:8])}"
        )
    x = torch.from_numpy(array)
    check_finite(x, names, str(data))
    values = flow.log_prob(x, audit=True).double().cpu()
    write_table(out, values[:, None].numpy(), ("log_likelihood",))
    error = values.std() / len(values) ** 0.5 if len(values) > 1 else torch.nan
    click.echo(
        f"{len(values)} rows, mean log-likelihood {values.mean():.5g} nats "
        f"(standard error {error:.2g}): {out}"
    )
