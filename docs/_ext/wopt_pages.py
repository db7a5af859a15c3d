"""Reference pages made from the installed wopt: components, configuration, commands, plugins.

They are written into ``docs/reference`` before Sphinx reads its sources, and are not in git.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
from pathlib import Path
from typing import Any

import click
from wopt_docstring import markdown
from wopt_option_table import option_table
from wopt_uses import in_gallery

from wopt.capabilities import Capability
from wopt.citations import citation_in_words, find_citations
from wopt.component import Component, article, options_model
from wopt.config.model import RunConfig
from wopt.host import host
from wopt.interfaces.solver import Training
from wopt.registry import KINDS, POINTS, Registration

ROOT = Path(__file__).parents[2]
PLURAL = {
    "objective": "Objectives: what to minimise",
    "scheme": "Schemes: how to step",
    "block": "Blocks: with which maps",
    "target": "Targets: the measure to approach",
    "source": "Sources: where the start comes from",
    "step_size": "Step sizes: how long each step is",
    "exact": "Exact solutions: what an evolution is compared with",
    "tracker": "Trackers: where records are sent",
    "solver": "Solvers: how a step is solved",
    "measurement": "Measurements: what is known of a run",
    "candidate": "Candidates: what the planner tries",
}
SECTIONS = {
    "target": "objective.target",
    "step_size": "scheme.step_size",
    "measurement": "certify",
}
"""Where a configuration names a component, if not under its kind."""


def pages(laws: bool = False) -> dict[str, str]:
    """Return the text of every page by its path below ``docs/reference``.

    Args:
        laws: Check every component against the laws of its interface, which takes half a minute,
            and say which hold.
    """
    made = {"configuration.md": configuration(), "commands.md": commands()}
    made |= {"capabilities.inc": capabilities(), "points.inc": points()}
    made["training.inc"] = markdown(Training) + "\n"
    for kind in KINDS:
        entries = host().registry.entries(kind)
        made[f"{kind}/index.md"] = index(kind, entries)
        for entry in entries:
            made[f"{kind}/{entry.name}.md"] = component(entry, laws)
    for path in sorted(ROOT.glob("plugins/*/README.md")):
        made[f"plugins/{path.parent.name}.md"] = moved(path.read_text())
    made["plugins/index.md"] = toc(
        "The plugins", "What each package brings, how to choose, and what was measured.", made
    )
    return made


def moved(readme: str) -> str:
    """Return a plugin's README with links as its page in ``docs/reference/plugins`` has them."""
    text = readme.replace("](../../README.md)", "](../../index.md)")
    text = text.replace("](../../docs/", "](../../")
    return re.sub(r"\]\(\.\./(wopt-\w+)/README\.md\)", r"](\1.md)", text)


def toc(title: str, text: str, made: dict[str, str]) -> str:
    """Return an index page of the plugins' pages."""
    names = [Path(name).stem for name in made if name.startswith("plugins/")]
    return f"# {title}\n\n{text}\n\n```{{toctree}}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"


def index(kind: str, entries: list[Registration]) -> str:
    """Return the page of one kind: its interface, and a table of its components."""
    module, _, name = KINDS[kind].interface.partition(":")
    interface = getattr(importlib.import_module(module), name)
    lines = [f"# {PLURAL.get(kind, kind)}", ""]
    if entries:
        lines += ["| name | what | package |", "|---|---|---|"]
        lines += [
            f"| [`{e.name}`]({e.name}.md) | {cell(e.summary)} | {e.plugin} |" for e in entries
        ]
        toctree = [":hidden:", "", *[e.name for e in entries]]
        lines += ["", "```{toctree}", *toctree, "```"]
    else:
        lines += ["None is installed."]
    lines += ["", f"## The interface `wopt.{interface.__name__}`", "", markdown(interface)]
    return "\n".join(lines) + "\n"


def component(entry: Registration, laws: bool) -> str:
    """Return a component's page: its docstring, options, capabilities and laws."""
    cls: Any = host().registry.load(entry.kind, entry.qualified)
    lines = [
        f"# `{entry.name}`",
        "",
        f"*{article(entry.kind).capitalize().replace('_', ' ')} of the plugin {entry.plugin}.*",
        "",
    ]
    lines += [markdown(cls), "", "## Options", "", option_table(options_model(cls))]
    lines += ["", "## In a configuration", "", in_configuration(entry, cls)]
    for attribute, title in (("needs", "It needs"), ("provides", "It provides")):
        value = getattr(made(entry, cls), attribute, None)
        if isinstance(value, Capability) and value:
            flags = ", ".join(f"`{name}`" for name in value.describe().split(", "))
            lines += ["", f"{title} {flags}: see [capabilities](../../plugins.md#capabilities)."]
    cited = find_citations(cls.cites or (), cls.__module__)
    if cited:
        lines += [
            "",
            "## To cite",
            "",
            *(f"- `{key}`: {citation_in_words(e)}" for key, e in cited.items()),
        ]
    if laws:
        lines += ["", "## Laws", "", checked(entry)]
    scripts = in_gallery(entry)
    if scripts:
        lines += ["", "## In the gallery", "", *scripts]
    return "\n".join(lines) + "\n"


def in_configuration(entry: Registration, cls: type[Component]) -> str:
    """Return how a configuration chooses a component, or who does where none can."""
    if entry.kind == "candidate":
        return "It has no place there: the planner tries every candidate that fits the data."
    if getattr(cls, "automatic", False):
        return "It needs no place there: it is made of every run to which it applies."
    return f"```toml\n{example(entry, cls)}\n```"


def example(entry: Registration, cls: type[Component]) -> str:
    """Return the TOML that chooses a component with what it requires."""
    import tomli_w

    table = {"name": entry.name, **cls.example}
    fields = options_model(cls).model_fields
    missing = [n for n, field in fields.items() if field.is_required() and n not in table]
    table |= dict.fromkeys(missing, "FILL-IN")
    short = table if len(table) > 1 else entry.name
    if entry.kind == "measurement" and entry.name != KINDS["measurement"].default:
        return tomli_w.dumps({"measurements": [short]}).strip()
    chosen = short if entry.kind == "solver" else table
    return tomli_w.dumps(_nested(SECTIONS.get(entry.kind, entry.kind), chosen)).strip()


def _nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def made(entry: Registration, cls: type[Component]) -> Any:
    """Return a component with default options, or its class where some are required."""
    from wopt.component import Spec, build
    from wopt.errors import WoptError

    try:
        component = build(entry.kind, {"name": entry.qualified, **cls.example})
        return component.build(dim=2) if isinstance(component, Spec) else component
    except WoptError:
        return cls


def checked(entry: Registration) -> str:
    """Return which laws of its interface a component was found to obey, now."""
    from wopt.testing import check_component

    checks = check_component(entry.kind, entry.name)
    obeyed = [law for law in checks if " " not in law]
    rest = [law for law in checks if " " in law]
    text = "Checked when this page was built: " + ", ".join(law.replace("_", " ") for law in obeyed)
    return ".\n\n".join([text, *rest]) + "."


def configuration() -> str:
    """Return the page of every option of a run."""
    lines = ["# Configuration", "", "What a TOML file of `wopt run` may hold. `wopt init` writes"]
    lines += ["one with every option and its default, `wopt schema` a JSON Schema for editors.", ""]
    parts: list[str] = []
    for name, field in RunConfig.model_fields.items():
        kind = field.annotation
        if name == "certify":
            link = f"See [{PLURAL['measurement']}](measurement/index.md)"
            text = "a table of the options of a measurement, `certificate` by default"
            parts += ["", "## `[certify]`", "", f"{field.description}: {text}. {link}."]
        elif name in KINDS and name != "solver":
            text = f"{field.description}: a name, or a table of a `name` and options. See"
            parts += ["", f"## `{name}`", "", f"{text} [{PLURAL[name]}]({name}/index.md)."]
        elif isinstance(kind, type) and issubclass(kind, Component):
            parts += ["", f"## `[{name}]`", "", f"{field.description}.", ""]
            parts += [option_table(options_model(kind))]
    lines += ["## Top level", "", option_table(RunConfig, {*KINDS, "certify", *_tables()}), *parts]
    return "\n".join(lines) + "\n"


def _tables() -> set[str]:
    kinds = {name: field.annotation for name, field in RunConfig.model_fields.items()}
    return {n for n, k in kinds.items() if isinstance(k, type) and issubclass(k, Component)}


def commands() -> str:
    """Return the page of the command line."""
    lines = ["# Commands", "", "`wopt --help` and `wopt COMMAND --help` say the same.", ""]
    listed = sorted(host().registry.commands.values(), key=lambda one: one.plugin != "core")
    for one in listed:
        lines += command(one.name, click_command(one))
        lines += [] if one.plugin == "core" else [f"*Of the plugin {one.plugin}.*", ""]
    return "\n".join(lines) + "\n"


def click_command(of: Registration) -> click.Command:
    """Return the function of a registered command."""
    module, _, name = of.path.partition(":")
    made: click.Command = getattr(importlib.import_module(module), name)
    return made


def command(name: str, made: click.Command) -> list[str]:
    """Return the section of one command."""
    words = [
        p.make_metavar(click.Context(made)) for p in made.params if isinstance(p, click.Argument)
    ]
    usage = " ".join(["wopt", name, *(["[OPTIONS]"] if _options(made) else []), *words])
    text = re.sub(r"\x08\n?", "", inspect.cleandoc(made.help or ""))
    lines = [f"## `wopt {name}`", "", "```sh", usage, "```", "", *text.split("\n"), ""]
    if _options(made):
        lines += ["| option | meaning | default |", "|---|---|---|"]
        for option in _options(made):
            names = ", ".join(f"`{n}`" for n in option.opts)
            default = option.default if option.show_default else ""
            lines += [f"| {names} | {cell(option.help or '')} | {default} |"]
        lines += [""]
    return lines


def _options(made: click.Command) -> list[click.Option]:
    return [p for p in made.params if isinstance(p, click.Option)]


def capabilities() -> str:
    """Return a table of capabilities, from the texts under the members in the source."""
    (body,) = [
        n.body
        for n in ast.walk(ast.parse(inspect.getsource(Capability)))
        if isinstance(n, ast.ClassDef)
    ]
    lines = ["| capability | what |", "|---|---|"]
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            assert isinstance(member.targets[0], ast.Name)
            lines.append(f"| `{member.targets[0].id}` | {cell(ast.literal_eval(text.value))} |")
    return "\n".join(lines) + "\n"


def points() -> str:
    """Return a table of the points at which a plugin can add a function."""
    lines = ["| point | function | returns or does |", "|---|---|---|"]
    for name, summary in POINTS.items():
        signature, _, text = summary.partition(": ")
        lines.append(f"| `{name}` | `{cell(signature)}` | {cell(text)} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Return text that may stand in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def write(folder: Path, made: dict[str, str]) -> None:
    """Write the pages that changed, and remove those that are no longer made."""
    for path in sorted([*folder.rglob("*.md"), *folder.rglob("*.inc")]):
        if str(path.relative_to(folder)) not in made:
            path.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx reads its sources."""
    app.add_config_value("wopt_check_laws", True, "env")
    app.connect(
        "builder-inited",
        lambda app: write(Path(app.srcdir) / "reference", pages(app.config.wopt_check_laws)),
    )
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
