"""``wopt cite``: sources to cite for a run, by component, bound and test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from wopt.citations import Entry, bibtex, find_citations
from wopt.component import Component, Spec, options_model
from wopt.config import RunConfig, validate
from wopt.files import write_text
from wopt.host import host
from wopt.store import RunDirectory, load_transform


@click.command("cite")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="A .bib file to write.")
def cite_command(directory: Path | None, out: Path | None) -> None:
    """Print BibTeX of what the run in DIRECTORY used; without one, of wopt and its paper.

    Components, the optimiser, the bounds of the certificate, two-sample tests, software: each entry
    once, below a comment with what it was used for.
    """
    text = as_bibtex(cited_by(directory))
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(out, text)
    click.echo(str(out))


_APART = ("plan", "certify", "measurements")
"""Parts of a configuration that do not belong to the model; their results are cited instead."""


@dataclasses.dataclass(frozen=True)
class Cited:
    """One method or component that a run used.

    Attributes:
        what: Name of the method or component.
        entries: Sources of the method or component, by BibTeX key.
    """

    what: str
    entries: Mapping[str, Entry]


def cited(what: str, keys: Iterable[str], module: str = "wopt") -> Cited:
    """Return a thing that a run used with its sources, by their keys in a package's file."""
    return Cited(what, find_citations(keys, module))


ALWAYS = ("wopt", "cheng2024")
"""Keys of the software and of the theory behind it."""


def cited_by(path: Path | None = None) -> list[Cited]:
    """Return the sources of everything that a run used; without a run wopt and its paper."""
    made = [cited("wopt, and the theory it rests on", ALWAYS)]
    if path is None:
        return made
    made.append(cited("software", ["paszke2019"]))
    run = RunDirectory(path)
    config = validate(run.read_config(), str(run.config))
    parts = [getattr(config, name) for name in RunConfig.model_fields if name not in _APART]
    made += [cited_component(one) for one in components(parts)]
    made += list(_of_training(config))
    if run.transform.is_file():
        columns = load_transform(run)[0].columns
        if columns is not None and columns.discrete:
            made.append(cited("integers and categories spread over cells", ["theis2016"]))
    for more in host().registry.functions("citations"):
        made += list(more(run, config))
    return made


def components(value: Any) -> Iterator[Component | Spec]:
    """Yield every component that a configuration names, including nested ones."""
    inside: Iterable[Any] = ()
    if isinstance(value, Component):
        if value.kind:
            yield value
        inside = value.options.values()
    elif isinstance(value, Spec):
        yield value
        inside = [getattr(value.options, name) for name in options_model(value.cls).model_fields]
    elif isinstance(value, BaseModel):
        inside = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        inside = value.values()
    elif isinstance(value, (list, tuple)):
        inside = value
    for each in inside:
        yield from components(each)


def as_bibtex(cited: Iterable[Cited]) -> str:
    """Return BibTeX: each entry once, below a comment on its use."""
    blocks, written = [], set[str]()
    for one in cited:
        keys = ", ".join(one.entries) or "nothing to cite"
        fresh = [bibtex(key, entry) for key, entry in one.entries.items() if key not in written]
        written |= set(one.entries)
        blocks.append("\n".join([f"% {one.what}: {keys}", *fresh]))
    return "\n".join(dict.fromkeys(blocks)) + "\n"


def cited_component(made: Component | Spec) -> Cited:
    """Return a component with the sources that its class declares."""
    cls = made.cls if isinstance(made, Spec) else type(made)
    name = host().registry.name_of(cls.kind, cls)
    if cls.cites is None:
        return Cited(f"{cls.kind} {name} (declares no sources: ask its author)", {})
    return cited(f"{cls.kind} {name}", cls.cites, cls.__module__)


def _of_training(config: RunConfig) -> Iterator[Cited]:
    for solver in config.solver.each:
        yield cited_component(solver)
    if any(solver.noise for solver in config.solver.each):
        yield cited("noise on training rows", ["rothfuss2019"])
    if config.smooth_time:
        yield cited("smoothing of the data", ["bobkov2001"])
