"""Sources to cite for a run, by component, bound and test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from wopt.certify.results import Certificate
from wopt.citations import Entry, bibtex, find
from wopt.component import Component, Spec, options_model
from wopt.config.model import RunConfig, validate
from wopt.host import host
from wopt.store.checkpoint import load_transform
from wopt.store.directory import RunDirectory
from wopt.store.documents import read_document
from wopt.store.result import RunResult

__all__ = ["ALWAYS", "BOUNDS", "Cited", "as_bibtex", "cited_by"]

BOUNDS = {
    "a_priori": ("cheng2024",),
    "convex": ("cheng2024",),
    "forward_backward": ("salim2020",),
    "log_sobolev": ("bakry1985",),
    "moments": (),
    "paper": ("cheng2024",),
    "theorem_p": ("cheng2024", "zhu2025"),
    "theorem_q": ("bakry1985", "otto2000"),
    "theorem_s": ("cheng2024",),
}
"""Keys by bound; those without a source of their own follow the paper's (docs/theory.md 1)."""

_OPTIMISERS = {
    "adam": ("kingma2015", "loshchilov2019"),
    "muon": ("jordan2024", "kingma2015", "loshchilov2019"),
    "lbfgs": ("liu1989", "nocedal2006"),
}
_TWO_SAMPLE = (
    "lopezpaz2017", "kim2021", "gretton2012", "schrab2023", "biggs2023", "phipson2010",
)  # fmt: skip
_APART = ("plan", "certify")
"""Parts of a configuration that do not belong to the model; their results are cited instead."""

_SAMPLER = ("vehtari2024", "zhang2009", "owen2013")
_LOST = ("kirkpatrick1983", "roberts1996")
_CHALLENGERS = {
    "Student": ("liu1995",),
    "kernels": ("abramson1982",),
    "tree": ("liu2011", "harvey1976"),
    "turned tree": ("liu2011", "harvey1976", "hyvarinen1999"),
    "warped columns": ("liu2009", "liu1995", "liu2011"),
}


@dataclasses.dataclass(frozen=True)
class Cited:
    """One method or component that a run used.

    Attributes:
        what: Name of the method or component.
        entries: Sources of the method or component, by BibTeX key.
    """

    what: str
    entries: Mapping[str, Entry]


def _cited(what: str, keys: Iterable[str], module: str = "wopt") -> Cited:
    return Cited(what, find(keys, module))


ALWAYS = ("wopt", "cheng2024")
"""Keys of the software and of the theory behind it."""


def cited_by(path: Path | None = None) -> list[Cited]:
    """Return the sources of everything that a run used; without a run wopt and its paper.

    Args:
        path: A run directory, finished or not.

    Raises:
        ConfigError: The run does not exist.
        PluginError: A component cites a key that is in no file of sources.
        RunError: The run is damaged.

    Example:
        >>> [key for one in cited_by() for key in one.entries]
        ['wopt', 'cheng2024']
    """
    made = [_cited("wopt, and the theory it rests on", ALWAYS)]
    if path is None:
        return made
    made.append(_cited("software", ["paszke2019"]))
    run = RunDirectory(path)
    config = validate(run.read_config(), str(run.config))
    parts = [getattr(config, name) for name in RunConfig.model_fields if name not in _APART]
    made += [_of_component(one) for one in components(parts)]
    made += list(_of_training(config))
    if run.transform.is_file():
        columns = load_transform(run)[0].columns
        if columns is not None and columns.discrete:
            made.append(_cited("integers and categories spread over cells", ["theis2016"]))
    result = read_document(run.result, RunResult)
    if result is not None:
        made += list(_of_sampler(result))
    again = f"make it again with `wopt certify {path}`"
    certificate = read_document(run.certificate, Certificate, again)
    if certificate is not None:
        made += list(_of_certificate(certificate, config))
    return made


def components(value: Any) -> Iterator[Component | Spec]:
    """Yield every component that a configuration names, including nested ones.

    Example:
        >>> from wopt.component import name_of
        >>> config = validate({"source": {"name": "toy"}})
        >>> sorted({name_of(one) for one in components(config) if isinstance(one, Component)})
        ['constant', 'gaussian', 'jko', 'kl', 'toy']
    """
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
    """Return BibTeX: each entry once, below a comment on its use.

    Example:
        >>> print(as_bibtex([Cited("a scheme", find(["cheng2024"]))]).splitlines()[1])
        @article{cheng2024,
    """
    blocks, written = [], set[str]()
    for one in cited:
        keys = ", ".join(one.entries) or "nothing to cite"
        fresh = [bibtex(key, entry) for key, entry in one.entries.items() if key not in written]
        written |= set(one.entries)
        blocks.append("\n".join([f"% {one.what}: {keys}", *fresh]))
    return "\n".join(dict.fromkeys(blocks)) + "\n"


def _of_component(made: Component | Spec) -> Cited:
    cls = made.cls if isinstance(made, Spec) else type(made)
    name = host().registry.name_of(cls.kind, cls)
    if cls.cites is None:
        return Cited(f"{cls.kind} {name} (declares no sources: ask its author)", {})
    return _cited(f"{cls.kind} {name}", cls.cites, cls.__module__)


def _of_training(config: RunConfig) -> Iterator[Cited]:
    yield _cited(f"optimiser {config.solver.optimiser}", _OPTIMISERS[config.solver.optimiser])
    if config.solver.noise:
        yield _cited("noise on training rows", ["rothfuss2019"])
    if config.smooth_time:
        yield _cited("smoothing of the data", ["bobkov2001"])


def _of_sampler(result: RunResult) -> Iterator[Cited]:
    if result.sampler is not None:
        yield _cited("diagnostics of the sampler (k-hat, ESS, log Z)", _SAMPLER)
        if result.sampler.lost_modes is not None:
            yield _cited("search for lost modes", _LOST)


def _of_certificate(made: Certificate, config: RunConfig) -> Iterator[Cited]:
    tables = [table for step in made.steps for table in (step.bounds.gap, step.bounds.w2)]
    names = {name for table in tables for name, entry in table.items() if entry.value is not None}
    for name in sorted(names):
        yield _cited(f"bound {name}", BOUNDS.get(name, ()))
    if any("critic" in step.residuals for step in made.steps):
        yield _cited("trained test fields", ["rahimi2007"])
        yield from (_of_component(one) for one in components(config.certify))
    if made.final.tv is not None:
        yield _cited("bound of the total variation", ["bretagnolle1979"])
    if any(step.transport is not None for step in made.steps):
        yield _cited("plans between samples", ["gelbrich1990", "flamary2021"])
    if made.challengers is not None:
        tries = made.challengers.tries
        kinds = [] if tries is None else [title.split(" on the ")[0] for title in tries.closed]
        keys = dict.fromkeys(key for kind in kinds for key in _CHALLENGERS.get(kind, ()))
        yield _cited("challengers and their limits", [*keys, "waudby2024"])
    if made.two_sample is not None:
        yield _cited("two-sample tests", _TWO_SAMPLE)
    if made.conditional is not None:
        yield _cited("coverage given the conditions", ["hermans2022", "talts2018", "lemos2023"])
