"""What others build on: names, options, commands and files; `surface.py --check` names changes.

`--write DIR` freezes it in DIR/surface.json, tests/golden by default. `--check DIR` prints what was
removed, changed, added or reworded since, and exits with 1 where something is removed or changed.
Words of help are not promised, so that other ones are only told of.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import json
import re
import sys
import tempfile
from collections import Counter, defaultdict
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
            owner = next((base for base in one.__mro__ if member in vars(base)), object)
            if not member.startswith("_") and owner.__module__.startswith("wopt"):
                yield f"wopt.{name}", f"{member}: {_parameters(getattr(one, member))}"


def _parameters(one: Any) -> str:
    """Return the names of parameters; ``...`` stands for a default."""
    if not callable(one) or (inspect.isclass(one) and issubclass(one, (enum.Enum, Exception))):
        return "a class" if callable(one) else "a value"
    known, none = inspect.signature(one), inspect.Parameter.empty
    plain = [
        p.replace(annotation=none, default=none if p.default is none else ...)
        for p in known.parameters.values()
    ]
    bare = known.replace(parameters=plain, return_annotation=none)
    return str(bare).replace("Ellipsis", "...")


def commands() -> Iterator[tuple[str, str]]:
    """Yield the commands with their arguments and options."""
    from wopt.cli.commands import cli

    context = click.Context(cli, info_name="wopt")
    dull = ("param_type", "dir_okay", "file_okay", "readable")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield "commands", name
        for p in command.params:
            info = p.to_info_dict()
            info["type"] = {k: v for k, v in info["type"].items() if v and k not in dull}
            kept = ("type", "required", "multiple", "is_flag", "nargs", "metavar", "default")
            about = {k: v for k in kept if (v := info.get(k)) and isinstance(v, (dict, int, str))}
            yield f"wopt {name}", f"{'/'.join(p.opts)}: {_text(about)}"
        words = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params)]
        yield WORDS, f"wopt {name}: {hashlib.sha256(_text(words).encode()).hexdigest()[:8]}"


def options() -> Iterator[tuple[str, str]]:
    """Yield the options of configurations and components, as the JSON Schema has them."""
    from wopt.host import host
    from wopt_options.schema import schema

    for entry in host().registry.entries():
        yield "components", f"{entry.kind}.{entry.name}: {entry.plugin}"
    found = schema()
    for name, body in [("", found), *found["$defs"].items()]:
        yield from _properties(f"schema {name}".strip(), "", body)
        for one in body.get("anyOf", ()):  # of a kind: shorthands beside its components
            if not {"$ref", "enum"} & one.keys():
                yield f"schema {name}", f"shorthand {_text(one)}"


def _properties(section: str, at: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in body.get("properties", {}).items():
        needed = " required" if key in body.get("required", ()) else ""
        if "properties" in value:
            yield from _properties(section, f"{at}{key}.", value)
        else:
            words = r'"(title|description)":"(\\.|[^"\\])*",?'
            plain = re.sub(words, "", _text(value)).replace(",}", "}")
            yield section, f"{at}{key}: {plain}{needed}"


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of golden runs with their JSON keys and tensors: which run has which."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in golden.RUNS:
        for path in sorted(p for p in (folder / run).rglob("[!.]*") if p.is_file()):
            file = path.relative_to(folder / run).as_posix()
            owners["files", file].append(run)
            if path.suffix == ".safetensors":
                with safe_open(path, "pt") as held:
                    about = [f"(metadata) {key}" for key in held.metadata() or ()]
                    for key in [*held.keys(), *about]:
                        owners[file, key].append(run)
        for file, document in golden.documents(folder / run):
            for key in sorted({re.sub(r"\.-\d+", "[]", way) for way, _ in golden.flat(document)}):
                owners[file, key].append(run)
    for (file, key), runs in owners.items():
        every = owners.get(("files", file), [*golden.RUNS])
        where = "in all" if runs == every else " ".join(runs)
        yield f"file {file}" if file != "files" else file, f"{key}: {where}"


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
        both = (one.get(section, ()) for one in (frozen, now))
        old, new = (dict(item.partition(": ")[::2] for item in items) for items in both)
        for key in sorted(old.keys() | new.keys()):
            a, b = old.get(key), new.get(key)
            what = "removed" if b is None else "added" if a is None else "changed"
            if a != b:
                summary = f"\n    from {a}\n    to   {b}" if what == "changed" else ""
                what = "reworded" if section == WORDS and summary else what
                said.append((what, f"{section}: {key}{summary}"))
    return said


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def main() -> int:
    """Write or check."""
    asked, *place = sys.argv[1:] or ("--help",)
    if asked not in ("--write", "--check") or len(place) > 1:
        sys.exit(__doc__)
    at, found = Path(*place or [golden.HERE]) / "surface.json", surface()
    if asked == "--write":
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(json.dumps(found, indent=0) + "\n")
        return 0
    said = changes(json.loads(at.read_text()), found)
    for what, line in said:
        print(f"{what:9}{line}")
    count = Counter(what for what, _ in said)
    print(", ".join(f"{count[what]} {what}" for what in ("removed", "changed", "added")))
    return int(count["removed"] + count["changed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
