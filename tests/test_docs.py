"""Every Python block of the documentation runs, and every TOML block of a run validates."""

import re
import tomllib
from pathlib import Path

import pytest

from wopt.config.model import validate

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python(page, tmp_path, monkeypatch, session):
    """The blocks of a page share their names, as its reader would run them."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "documentation"}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_toml(page):
    for text in blocks(page, "toml"):
        table = tomllib.loads(text)
        if "source" in table:
            validate(table)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_examples(path):
    validate(tomllib.loads(path.read_text()), path.name)
