"""Output of commands: text, less text (--quiet), or JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wopt.interfaces.listener import Listener
from wopt.reading import printable

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors alone.")
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Print tables of steps, certificate and scores too."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout."
)


class Quiet(Listener):
    """A listener that prints only warnings and errors, on standard error."""

    def warn(self, text: str) -> None:
        """Print a warning."""
        click.secho(f"warning: {printable(on_this_line(text))}", fg="yellow", err=True)

    def end(self, result: Any, path: Path | None = None) -> None:
        """Print why a run is not done."""
        if result is not None and result.status != "done":
            click.secho(printable(f"{result.status}: {result.reason}"), fg="red", err=True)


def first() -> bool:
    """Return whether this process prints, of those that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


_OPTION = re.compile(r"`([a-z_]+\.[a-z_.]+) = ([^`]+)`")


def on_this_line(text: str) -> str:
    """Return a message in which an option of the file is what to type on the command line.

    Example:
        >>> on_this_line('drop these rows with `source.nan = "drop"`')
        'drop these rows with `--set source.nan=drop`'
    """
    return _OPTION.sub(lambda found: f"`--set {found[1]}={found[2].strip(chr(34))}`", text)


@contextlib.contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on a terminal what is waited for, such as imports, until the block ends."""
    if quiet or not first() or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def listener_for(quiet: bool, as_json: bool = False, verbose: bool = False) -> Listener:
    """Return the listener of a run on the command line."""
    if quiet or as_json or not first():
        return Quiet()
    from wopt.cli.console import RunTerminal

    return RunTerminal(verbose=verbose)


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
