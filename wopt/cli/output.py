"""Output of commands: text, less text (--quiet), or JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from wopt.interfaces.listener import Listener
from wopt.reading import printable

__all__ = [
    "Quiet",
    "first",
    "json_option",
    "listener_for",
    "print_json",
    "quiet_option",
    "result_table",
]

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors alone.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout."
)


class Quiet(Listener):
    """A listener that prints only warnings and errors, on standard error."""

    def warn(self, text: str) -> None:
        """Print a warning."""
        click.secho(f"warning: {printable(text)}", fg="yellow", err=True)

    def end(self, result: Any, path: Path | None = None) -> None:
        """Print why a run is not done."""
        if result is not None and result.status != "done":
            click.secho(printable(f"{result.status}: {result.reason}"), fg="red", err=True)


def first() -> bool:
    """Return whether this process prints, of those that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


def listener_for(quiet: bool, as_json: bool = False) -> Listener:
    """Return the listener of a run on the command line."""
    if quiet or as_json or not first():
        return Quiet()
    from wopt.cli.console import RunTerminal

    return RunTerminal()


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinities, which JSON does not have, become null."""
    from wopt.files import finite

    click.echo(json.dumps(finite(value), indent=2, default=str))


def result_table(result: Any, path: Path) -> dict[str, Any]:
    """Return the output of ``--json`` for a run: its result, headline and directory."""
    from wopt.interfaces.measurement import document_of
    from wopt.store.directory import RunDirectory
    from wopt.store.documents import read_document

    run = RunDirectory(path)
    of = document_of("certificate")
    made = None if of is None else read_document(run.certificate, of)
    stored = None if made is None else made.to_dict()
    headline = None if stored is None else {key: stored[key] for key in ("statement", "gap")}
    return {
        "directory": str(path),
        "report": str(run.report),
        **result.to_dict(),
        "certificate": headline,
    }
