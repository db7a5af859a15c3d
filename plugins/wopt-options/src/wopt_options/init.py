"""``wopt init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default="wopt.toml")
@click.option(
    "--source",
    help="Source of data or initial samples; toy by default, or one that reads FILE.",
)
@click.option("--objective", help="Objective to minimise.")
@click.option("--scheme", help="Scheme of the steps.")
@click.option("--block", help="Block: the family of maps.")
@click.option("--key", help="Name of the array in an npz file.")
@click.option(
    "--force", is_flag=True, help="Overwrite a configuration; data are never overwritten."
)
def init_command(
    file: Path,
    source: str | None,
    objective: str | None,
    scheme: str | None,
    block: str | None,
    key: str | None,
    force: bool,
) -> None:
    """Write a commented configuration with every option and its default.

    FILE is the configuration to write, or a table (npy, npz, csv, parquet, h5ad): its columns are
    read, and the configuration is written beside it, with the suffix toml.
    """
    from wopt.errors import ConfigError
    from wopt.files import write_text
    from wopt_options.schema import template

    out, options, about = file, dict[str, Any](), list[str]()
    if file.suffix.lower() != ".toml" and (file.exists() or file.suffix.lower() in _tables()):
        out, (source, options, about) = file.with_suffix(".toml"), _of_data(file, key, source)
    if out.exists() and not (force and out.suffix.lower() == ".toml"):
        hint = ", or --force" if out.suffix.lower() == ".toml" else ""
        raise ConfigError(f"{out}: is there already; choose another name{hint}")
    wishes = {
        "source": source or "toy", "objective": objective, "scheme": scheme, "block": block,
    }  # fmt: skip
    chosen = {k: v for k, v in wishes.items() if v is not None}
    write_text(out, template(chosen, {"source": options}, about))
    for line in about:
        click.echo(f"  {line}")
    click.echo(f"{out} is written; train with `wopt run {out}`")


def _tables() -> tuple[str, ...]:
    from wopt.data import READABLE

    return (*READABLE, ".h5ad")


def _of_data(
    file: Path, key: str | None, source: str | None
) -> tuple[str, dict[str, Any], list[str]]:
    """Return the source that reads a file, its options, and descriptions of its columns."""
    from wopt.data import Choices, column_of, existing_file, read_frame
    from wopt.errors import DataError

    if file.suffix.lower() == ".h5ad":
        return source or "anndata", {"path": str(existing_file(file))}, []
    table = read_frame(file, key)
    kept, about = (
        list[str](),
        [f"{file.name}: {table.num_rows} rows of {table.num_columns} columns"],
    )
    for name in Choices().default_columns(table.column_names):
        try:
            words = column_of(name, table.column(name), None, str(file)).words()
            kept.append(name)
        except DataError as error:
            words = f"{name}: left out: {str(error).removeprefix(f'{file}: ')}"
        missing = table.column(name).null_count
        about.append(words + (f"; {missing} values are missing" if missing else ""))
    if not kept:
        raise DataError(f"{file}: has no column that can be modelled; " + "; ".join(about[1:]))
    options: dict[str, Any] = {"path": str(file)}
    if len(kept) < len(about) - 1:
        options["columns"] = kept
    return source or "array", options | ({} if key is None else {"key": key}), about
