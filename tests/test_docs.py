"""Every example of the documentation runs, and everything that can be chosen has a page."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wopt.component import options_model
from wopt.config.model import RunConfig, validate
from wopt.distributions import SHIPPED
from wopt.host import host
from wopt.registry import KINDS

ROOT = Path(__file__).parents[1]
MADE = {"_build", "_ext", "auto_evidence", "auto_gallery", "reference"}
PAGES = [
    ROOT / "README.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if not MADE & set(p.parts)),
    *sorted(ROOT.glob("plugins/*/README.md")),
]
COMMANDS = host().registry.commands
each = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
SMALL = [
    (r"(budget=)\d+", r"\g<1>1"),
    (r"(iterations=)(60|100)\b", r"\g<1>20"),
    (r"(runs=)4\b", r"\g<1>2"),
]
"""What makes an example quick."""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def reference():
    """Return the pages that the documentation makes of the installed components."""
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        yield importlib.import_module("wopt_pages").pages()
    finally:
        sys.path.pop(0)


@pytest.mark.filterwarnings("ignore:the fit made no step")  # of columns that are drawn at random
@each
def test_python(page, tmp_path, monkeypatch, session):
    """The blocks of a page share their names, as its reader would run them."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "documentation"}
    for text in blocks(page, "python"):
        for pattern, small in SMALL:
            text = re.sub(pattern, small, text)
        exec(compile(text, page.name, "exec"), names)


@each
def test_what_a_page_shows_is_there(page):
    """Configurations are valid; files and commands exist (Sphinx checks pages and anchors)."""
    text = page.read_text()
    for table in map(tomllib.loads, blocks(page, "toml")):
        if "source" in table:
            validate(table)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"https?:|mailto:", target) and not MADE & set(Path(target).parts):
            assert (page.parent / target).exists(), target
    shown = {w for code in blocks(page, "sh") for w in re.findall(r"\bwopt ([a-z-]+)\b", code)}
    shown |= set(re.findall(r"`wopt ([a-z-]+)[ `]", text))
    assert shown <= set(COMMANDS), shown - set(COMMANDS)


def test_examples():
    for path in (ROOT / "examples").glob("*.toml"):
        validate(tomllib.loads(path.read_text()), path.name)


def test_every_component_has_a_page(reference):
    for entry in host().registry.entries():
        page = reference[f"{entry.kind}/{entry.name}.md"]
        cls = host().registry.load(entry.kind, entry.qualified)
        for option, field in options_model(cls).model_fields.items():
            assert f"| `{option}` |" in page, (entry.qualified, option)
            assert field.description, (entry.qualified, option)
        assert f"({entry.name}.md)" in reference[f"{entry.kind}/index.md"]


@pytest.mark.parametrize("plugin", host().plugins, ids=lambda p: p.name)
def test_readmes_name_every_component(plugin):
    page = (ROOT / "plugins" / f"wopt-{plugin.name}" / "README.md").read_text()
    names = [f"`{e.name}`" for e in host().registry.entries() if e.plugin == plugin.name]
    names += [f"`wopt {c.name}`" for c in COMMANDS.values() if c.plugin == plugin.name]
    brought = SHIPPED.get(f"wopt-{plugin.name}", {}).get("name", "")
    names += [f"`wopt.{name}`" for name in brought.split()]
    assert names
    assert not [name for name in names if name not in page]


def test_the_page_of_plugins_lists_every_kind():
    page = (ROOT / "docs" / "plugins.md").read_text()
    index = (ROOT / "docs" / "index.md").read_text()
    assert not [kind for kind in KINDS if f"| `{kind}` |" not in page]
    assert not [kind for kind in KINDS if f"\nreference/{kind}/index\n" not in index]


def test_the_readme_is_one_screen_and_its_two_commands_exist():
    """At most 90 lines and 600 words, installation by line 15; make has what is promised."""
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 90
    assert len(text.split()) <= 600
    assert any("pip install . ./plugins/*" in line for line in text.splitlines()[:15])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    promised = set(re.findall(r"\bmake ([a-z-]+) ", text))
    assert {"demo", "test"} <= promised <= targets


def test_architecture_lists_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text()
    folders = [path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")]
    assert not [name for name in folders if f"plugins/{name}/" not in text]


def test_every_command_and_option_of_it_has_a_section(reference):
    page = reference["commands.md"]
    sections = dict(re.findall(r"^## `wopt ([\w-]+)`\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert set(sections) == set(COMMANDS)
    for name, text in sections.items():
        module, _, function = COMMANDS[name].path.partition(":")
        command = getattr(importlib.import_module(module), function)
        for parameter in command.params:
            for word in parameter.opts if parameter.param_type_name == "option" else []:
                assert f"`{word}`" in text, (name, word)


def test_every_option_of_a_run_has_a_line(reference):
    page = reference["configuration.md"]
    for name in RunConfig.model_fields:
        assert re.search(rf"^(## `\[?{name}\]?`|\| `{name}` \|)", page, re.M), name


def test_every_option_says_what_it_is(reference):
    bare = [
        f"{path}: {line}"
        for path, page in reference.items()
        for line in page.splitlines()
        if re.match(r"\| `[a-z_]+` \|.*\|\s+\|$", line)
    ]
    assert not bare, bare


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*build, str(ROOT / "docs"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
