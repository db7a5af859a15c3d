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


def blocks(language):
    for page in PAGES:
        found = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)
        for number, text in enumerate(found):
            yield pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "documentation", "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_toml(text):
    table = tomllib.loads(text)
    if "source" in table:
        validate(table)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_examples(path):
    validate(tomllib.loads(path.read_text()), path.name)
