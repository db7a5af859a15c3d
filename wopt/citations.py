"""Citations: BibTeX entries that packages ship as TOML, found by key.

A package keeps them in ``citations.toml`` beside its ``__init__.py``, with a table for each key
that has ``type`` and the fields of BibTeX.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from wopt.errors import PluginError

Entry = Mapping[str, Any]

FILE = "citations.toml"


@functools.cache
def bibliography(package: str) -> dict[str, Entry]:
    """Return a package's entries by key, empty if it has no ``citations.toml``."""
    try:
        text = importlib.resources.files(package).joinpath(FILE).read_text(encoding="utf-8")
    except (
        OSError,
        ModuleNotFoundError,
        TypeError,
        ValueError,
        AttributeError,
    ):  # no such file, or no package
        return {}
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PluginError(f"{package}/{FILE}: is not TOML: {error}") from None
    for key, fields in entries.items():
        lacking = {"type", "title", "year"} - set(fields if isinstance(fields, dict) else ())
        if lacking:
            raise PluginError(f"{package}/{FILE}: [{key}] lacks {', '.join(sorted(lacking))}")
    return entries


def find_citations(keys: Iterable[str], module: str = "wopt") -> dict[str, Entry]:
    """Return the entries of keys that a module cites, from its own package or wopt.

    Example:
        >>> list(find_citations(["ambrosio2008"], "wopt_mine.moment"))
        ['ambrosio2008']
    """
    package = module.partition(".")[0]
    known = {**bibliography("wopt"), **bibliography(package)}
    missing = [key for key in keys if key not in known]
    if missing:
        raise PluginError(
            f"{module} cites {', '.join(missing)}, and neither {package}/{FILE} nor wopt's has "
            f"{'it' if len(missing) == 1 else 'them'}: add a table [{missing[0]}] with type, "
            "title, author and year"
        )
    return {key: known[key] for key in keys}


def bibtex(key: str, entry: Entry) -> str:
    """Return an entry as BibTeX."""
    fields = {name: value for name, value in entry.items() if name not in ("type", "package")}
    if "package" in entry:
        fields["note"] = f"Version {_version(entry['package'])}"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{entry['type']}{{{key},", *lines, "}"])


def citation_in_words(entry: Entry) -> str:
    """Return an entry as a line: surnames, title, year.

    Example:
        >>> citation_in_words(bibliography("wopt")["vanerven2014"])
        'van Erven and Harremoës, Rényi divergence and Kullback-Leibler divergence, 2014'
    """
    people = str(entry.get("author", "")).split(" and ")
    names = [person.partition(",")[0] for person in people if person and person != "others"]
    few = names[0] if len(names) == 1 else " and ".join(names[:2]) if len(names) == 2 else ""
    who = few if few and "others" not in people else f"{names[0]} et al." if names else ""
    text = ", ".join(part for part in (who, str(entry["title"]), str(entry["year"])) if part)
    return text.replace("{", "").replace("}", "").replace("--", "-").replace("$", "")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
