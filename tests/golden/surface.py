"""What others build on: names, options, commands and files; `surface.py --check` names changes.

`--write DIR` freezes it in DIR/surface.json, tests/golden by default. `--check` prints what was
removed, changed, added or reworded since, and exits with 1 where something is removed or changed.
Words of help are not promised, so that other ones are only told of.
"""

from __future__ import annotations

import argparse
import enum
import hashlib
import importlib
import inspect
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import golden
from safetensors import safe_open

import wopt

Surface = dict[str, list[str]]
"""Lists of items ``name: what is promised of it``, or a name alone."""

WORDS = "words"


def names() -> Iterator[tuple[str, str]]:
    """Yield the public names with their parameters, and the public members of classes."""
    for name in wopt.__all__:
        one = getattr(wopt, name)
        yield "wopt", f"{name}: {_parameters(one)}"
        for member in dir(one) if inspect.isclass(one) else ():
            found = inspect.getattr_static(one, member)
            if not member.startswith("_") and _is_ours(one, member):
                yield f"wopt.{name}", f"{member}: {_parameters(found)}"


def _is_ours(cls: type, member: str) -> bool:
    """Whether a member was written here, and not inherited from torch or Python."""
    owner = next(base for base in cls.__mro__ if member in vars(base))
    return owner.__module__.startswith("wopt")


def _parameters(one: Any) -> str:
    """Return the names of parameters, with a sign where they need not be given."""
    if isinstance(one, (property, staticmethod, classmethod)):
        one = getattr(one, "__func__", property)
    if not callable(one) or one is property:
        return "a value"
    if inspect.isclass(one) and issubclass(one, (enum.Enum, Exception)):
        return "a class"
    try:
        parameters = inspect.signature(one).parameters.values()
    except ValueError:
        return "anything"
    star = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    words, named = [], False
    for p in parameters:
        if p.kind is inspect.Parameter.KEYWORD_ONLY and not named:
            words.append("*")
        named = p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD
        given = "" if p.default is inspect.Parameter.empty else "="
        words.append(f"{star.get(p.kind, '')}{p.name}{given}")
    return f"({', '.join(words)})"


def commands() -> Iterator[tuple[str, str]]:
    """Yield the commands with their arguments and options."""
    cli = importlib.import_module("wopt.cli.commands").cli
    context = click.Context(cli, info_name="wopt")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield "commands", name
        for p in command.params:
            info = p.to_info_dict()
            dull = ("param_type", "dir_okay", "file_okay", "readable")
            info["type"] = {k: v for k, v in info["type"].items() if v and k not in dull}
            kept = ("type", "required", "multiple", "is_flag", "metavar")
            about = {k: info[k] for k in kept if info.get(k)}
            if p.nargs != 1:
                about["nargs"] = p.nargs
            if isinstance(info["default"], (int, float, str)) and info["default"] is not False:
                about["default"] = info["default"]
            yield f"wopt {name}", f"{'/'.join(p.opts)}: {_text(about)}"
        help_of = (command.help or "", *(getattr(p, "help", None) or "" for p in command.params))
        yield WORDS, f"wopt {name}: {_hash(' '.join(help_of))}"


def options() -> Iterator[tuple[str, str]]:
    """Yield the options of configurations and components, as the JSON Schema has them."""
    schema = importlib.import_module("wopt.config.schema").schema()
    registry = importlib.import_module("wopt.host").host().registry
    for entry in registry.entries():
        yield "components", f"{entry.kind}.{entry.name}: {entry.plugin}"
    for name, body in [("", schema), *schema["$defs"].items()]:
        yield from _properties(f"schema {name}".strip(), "", body)
        for one in body.get("anyOf", ()):  # of a kind: shorthands beside its components
            if not {"$ref", "enum"} & one.keys():
                yield f"schema {name}", f"shorthand {_text(one)}"
        yield WORDS, f"schema {name}: {_hash(_text(body))}"


def _properties(section: str, at: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in body.get("properties", {}).items():
        needed = " required" if key in body.get("required", ()) else ""
        if "properties" in value:
            yield from _properties(section, f"{at}{key}.", value)
        else:
            yield section, f"{at}{key}: {_text(_without_words(value))}{needed}"


def _without_words(body: Any) -> Any:
    if isinstance(body, list):
        return [_without_words(one) for one in body]
    if not isinstance(body, dict):
        return body
    words = ("title", "description")
    return {
        k: _without_words(v) for k, v in body.items() if k not in words or not isinstance(v, str)
    }


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of golden runs with their JSON keys and tensors: which run has which."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in golden.RUNS:
        for path in sorted((folder / run).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                owners["files", path.relative_to(folder / run).as_posix()].append(run)
        for path in sorted((folder / run).rglob("*.safetensors")):
            file = path.relative_to(folder / run).as_posix()
            with safe_open(path, "pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118
                    owners[file, key].append(run)
                for key in tensors.metadata() or ():
                    owners[file, f"(metadata) {key}"].append(run)
        for file, document in golden.documents(folder / run):
            for key in sorted(set(_keys(document))):
                owners[file, key].append(run)
    for (file, key), runs in owners.items():
        every = owners.get(("files", file), [*golden.RUNS])
        where = "in all" if runs == every else " ".join(runs)
        yield f"file {file}" if file != "files" else file, f"{key}: {where}"


def _keys(document: Any, at: str = "") -> Iterator[str]:
    """Yield the paths of a document's keys; ``[]`` is any item of a list."""
    if isinstance(document, list):
        for one in document:
            yield from _keys(one, f"{at}[]" if at else "")
    elif isinstance(document, dict):
        for key, value in document.items():
            inner = f"{at}.{key}" if at else key
            if isinstance(value, (dict, list)) and value:
                yield from _keys(value, inner)
            yield inner


def surface() -> Surface:
    """Return all of it; making the golden runs takes most of the time."""
    found: Surface = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for run, make in golden.RUNS.items():
            make(Path(folder) / run)
        for part in (names(), commands(), options(), files(Path(folder))):
            for section, item in part:
                found[section].append(item)
    return {section: sorted(set(items)) for section, items in found.items()}


def changes(frozen: Surface, now: Surface) -> list[tuple[str, str]]:
    """Return what became of each item: removed, changed, added or reworded, and a line about it."""
    said = []
    for section in [*frozen, *(now.keys() - frozen.keys())]:
        old, new = (
            dict(item.partition(": ")[::2] for item in one.get(section, ()))
            for one in (frozen, now)
        )
        for key in sorted(old.keys() | new.keys()):
            where = f"{section}: {key}"
            if key not in new:
                said.append(("removed", where))
            elif key not in old:
                said.append(("added", where))
            elif old[key] != new[key]:
                what = "reworded" if section == WORDS else "changed"
                said.append((what, f"{where}\n    from {old[key]}\n    to   {new[key]}"))
    return said


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    here = {"nargs": "?", "const": golden.HERE, "type": Path, "metavar": "DIR"}
    group.add_argument("--write", help="freeze the surface in DIR/surface.json", **here)
    group.add_argument("--check", help="compare it with DIR/surface.json", **here)
    asked, found = parser.parse_args(), surface()
    if asked.write:
        asked.write.mkdir(parents=True, exist_ok=True)
        (asked.write / "surface.json").write_text(json.dumps(found, indent=0) + "\n")
        return 0
    said = changes(json.loads((asked.check / "surface.json").read_text()), found)
    for what, line in said:
        print(f"{what:9}{line}")
    count = {what: sum(w == what for w, _ in said) for what in ("removed", "changed", "added")}
    print(", ".join(f"{number} {what}" for what, number in count.items()))
    return int(count["removed"] + count["changed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
