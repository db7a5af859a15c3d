"""Functions that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wopt.config.read import override, read_toml
from wopt.data.refusals import check_file
from wopt.data.tables import READABLE, existing_file, has_names, read_frame
from wopt.host import host

if TYPE_CHECKING:
    from wopt.config.model import RunConfig
    from wopt.interfaces.source import Source
    from wopt.store.result import RunResult


def read_config(path: Path, settings: Sequence[str] = ()) -> RunConfig:
    """Read, override and validate a configuration."""
    table = override(read_toml(path), settings)
    from wopt.config.model import validate

    return validate(table, str(path))


def config_table(
    path: Path, settings: Sequence[str] = (), budget: str | None = None
) -> dict[str, Any]:
    """Return the table of a configuration, or of a planned run for a data file.

    A data file is read here too, since a refusal need not wait for torch to be imported.
    """
    sources = {**dict.fromkeys(READABLE, "array"), ".h5ad": "anndata"}
    name = sources.get(path.suffix.lower())
    table = read_toml(path) if name is None else {
        "source": {"name": name, "path": str(existing_file(path))}, "plan": {}
    }  # fmt: skip
    if budget is not None:
        table["plan"] = {"budget": budget}
    table = override(table, settings)
    if name == "array":
        check_file(table["source"])
    return table


def rows_of(source: Source, path: Path, key: str | None = None) -> tuple[Any, bool]:
    """Return a data file as an Arrow table, and whether the file names its columns."""
    if path.suffix.lower() in source.suffixes:
        return source.table(path), True
    return read_frame(path, key), has_names(path)


def exit_status(result: RunResult) -> int:
    """Return the exit status of a run: 0 done, 1 failed, 130 interrupted."""
    return {"done": 0, "stopped": 130}.get(result.status, 1)


_SLOW = 3.0
"""Least seconds of a plugin's import that are reported."""


def warn_of_plugins() -> None:
    """Print one line for every plugin that failed to load, or took long."""
    for plugin in host().plugins:
        of = f"(distribution {plugin.distribution!r} {plugin.version})"
        note = None
        if plugin.status == "failed":
            note = f"plugin {plugin.name!r} failed to load: {plugin.error} {of}"
        elif plugin.seconds > _SLOW:
            note = (
                f"plugin {plugin.name!r} took {plugin.seconds:.1f} s to import {of}, as it does at "
                "every command: its entry point should name a light module. WOPT_PLUGINS=a,b loads "
                "only these"
            )
        if note:
            click.secho(f"warning: {note}", fg="yellow", err=True)
