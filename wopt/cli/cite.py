"""``wopt cite``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("cite")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="A .bib file to write.")
def command(directory: Path | None, out: Path | None) -> None:
    """Print BibTeX of what the run in DIRECTORY used; without one, of wopt and its paper.

    Components, the optimiser, the bounds of the certificate, two-sample tests, software: each entry
    once, below a comment with what it was used for.
    """
    from wopt.files import write_text
    from wopt.runs.cite import as_bibtex, cited_by

    text = as_bibtex(cited_by(directory))
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(out, text)
    click.echo(str(out))
