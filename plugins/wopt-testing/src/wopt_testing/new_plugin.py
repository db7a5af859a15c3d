"""``wopt new-plugin``: a package from templates, which installs and passes its tests."""

from __future__ import annotations

import importlib.resources
import keyword
import re
from pathlib import Path
from string import Template

import click

from wopt.errors import ConfigError
from wopt.files import write_text
from wopt.plugin import API_VERSION
from wopt.registry import KINDS


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="objective", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder [default: wopt-NAME].")
def new_plugin_command(name: str, kind: str, out: Path | None) -> None:
    """Write a plugin package called NAME that installs, runs by name and passes its tests."""
    folder = out or Path(f"wopt-{name.replace('_', '-')}")
    for path in make_plugin(name, kind, folder):
        click.echo(str(path))
    click.echo(f"\ntry it:  pip install -e {folder}  &&  wopt check {name}")


def make_plugin(name: str, kind: str, out: Path) -> list[Path]:
    """Write the package ``wopt-NAME`` to a new folder."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be a plugin name: write lower case letters, digits and underscores, "
            "beginning with a letter"
        )
    if kind not in KINDS:
        raise ConfigError(f"no kind of component is called {kind!r}; kinds: {', '.join(KINDS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: is there already; choose another place with --out")
    module = f"wopt_{name}"
    words = {
        "name": name,
        "kind": kind,
        "module": module,
        "distribution": f"wopt-{name.replace('_', '-')}",
        "cls": "".join(word.capitalize() for word in name.split("_")),
        "major": str(API_VERSION[0]),
        "minor": str(API_VERSION[1]),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "hooks.py": f"src/{module}/hooks.py",
        "init.py": f"src/{module}/__init__.py",
        f"{kind}.py": f"src/{module}/{name}.py",
        "test_laws.py": "tests/test_laws.py",
    }
    written, folder = [], importlib.resources.files("wopt_testing").joinpath("templates")
    for template, file in files.items():
        path = out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        text = folder.joinpath(f"{template}.txt").read_text(encoding="utf-8")
        write_text(path, Template(text).substitute(words))
        written.append(path)
    return written
