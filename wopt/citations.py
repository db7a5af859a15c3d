"""Citations: BibTeX entries that a package ships as a table, found by key, written as BibTeX.

A package keeps them in ``citations.toml`` beside its ``__init__.py``: a table a key, with ``type``
and the fields of BibTeX. TOML is read by the standard library, so BibTeX is only ever written.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from wopt.errors import PluginError

__all__ = ["bibliography", "bibtex", "find", "in_words"]

Entry = Mapping[str, Any]

FILE = "citations.toml"


@functools.cache
def bibliography(package: str) -> dict[str, Entry]:
    """Return the entries that a package ships, by key; none if it has no ``citations.toml``.

    Args:
        package: A top-level package, such as ``wopt`` or ``wopt_mine``.

    Raises:
        PluginError: The file is no TOML, or an entry lacks a type, a title or a year.

    Example:
        >>> bibliography("wopt")["cheng2024"]["year"]
        2024
    """
    try:
        text = importlib.resources.files(package).joinpath(FILE).read_text(encoding="utf-8")
    except (OSError, ModuleNotFoundError, TypeError, ValueError):  # no such file, or no package
        return {}
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PluginError(f"{package}/{FILE}: is no TOML: {error}") from None
    for key, fields in entries.items():
        lacking = {"type", "title", "year"} - set(fields if isinstance(fields, dict) else ())
        if lacking:
            raise PluginError(f"{package}/{FILE}: [{key}] lacks {', '.join(sorted(lacking))}")
    return entries


def find(keys: Iterable[str], module: str = "wopt") -> dict[str, Entry]:
    """Return the entries of keys that a module cites: its own package's, else those of wopt.

    Args:
        keys: They.
        module: The module whose package is looked in first, such as ``wopt_mine.moment``.

    Raises:
        PluginError: A key is in neither file; the message says where it belongs.

    Example:
        >>> list(find(["ambrosio2008"], "wopt_mine.moment"))
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
    """Return an entry as BibTeX.

    Args:
        key: Its key.
        entry: Its type and fields. ``package`` is no field of BibTeX: the installed version of that
            distribution is noted in its place.

    Example:
        >>> print(bibtex("one", {"type": "misc", "title": "A {B}", "year": 2024}))
        @misc{one,
          title = {A {B}},
          year = {2024},
        }
    """
    fields = {name: value for name, value in entry.items() if name not in ("type", "package")}
    if "package" in entry:
        fields["note"] = f"Version {_version(entry['package'])}"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{entry['type']}{{{key},", *lines, "}"])


def in_words(entry: Entry) -> str:
    """Return an entry as a line: surnames, title, year.

    Example:
        >>> in_words(bibliography("wopt")["vanerven2014"])
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
