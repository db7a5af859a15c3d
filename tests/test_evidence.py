"""Pages of evidence show what is stored, however much that is."""

import importlib
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
NAMES = [
    "laws",
    "tables",
    "planner",
    "several",
    "light",
    "choosing",
    "arcs",
    "corrections",
    "cells",
    "maps",
    "sbibm",
    "gym",
    "nuts",
    "proximal",
    "likelihood",
]
NOT_SHOWN = {
    "evidence/results.jsonl": "evidence.md is made of it by `make evidence`; test_evidence_page.py",
    "several/certified.jsonl": "schemes.md says what it gave",
    "short_runs.jsonl": "lower sides of the challengers before; git has the table",
    "front_door.jsonl": "lower sides of the challengers before; git has the table",
    "suites.jsonl": "which-tool.md has the count",
    "posterior_laws.jsonl": "posteriors.md has lines of it, as before (posteriors.py --table)",
}
"""Stored measurements without a part of a page, each with the reason why."""


@pytest.fixture(scope="module")
def evidence():
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    plt.switch_backend("agg")
    try:
        yield importlib.import_module("wopt_evidence")
    finally:
        sys.path.pop(0)
        plt.rcdefaults()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_includes_each_part(evidence, name):
    (one,) = [e for e in evidence.EVIDENCE if e.name == name]
    assert one.path.exists()
    text = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert f"```{{include}} auto_evidence/{name}.inc" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_the_rows_makes_a_page(evidence, name, tmp_path):
    (one,) = [e for e in evidence.EVIDENCE if e.name == name]
    rows = evidence.rows_of(one.path)
    rows = rows[: max(3, len(rows) // 3)]
    text = evidence.part(one, rows, "| a table |", tmp_path)
    assert f"*{len(rows):,} runs of" in text
    assert "| a table |" in text
    if one.more is not None:
        assert one.more(rows) in text
    if one.draw is not None:
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
        assert (tmp_path / f"{name}_dark.png").exists()
        assert len(re.search(":alt: (.*)", text)[1]) > 60
    assert not plt.get_fignums()


def test_what_is_stored_is_shown(evidence):
    """Every file of measurements has a line in EVIDENCE, or is known not to, with a reason."""
    there = {
        str(path.relative_to(evidence.BENCHMARKS))
        for pattern in ("*.jsonl", "*.json")
        for path in evidence.BENCHMARKS.rglob(pattern)
    }
    shown = {one.file for one in evidence.EVIDENCE}
    assert [one.name for one in evidence.EVIDENCE] == NAMES
    assert there == shown | NOT_SHOWN.keys()
    assert not shown & NOT_SHOWN.keys()
    assert all(len(reason) > 20 for reason in NOT_SHOWN.values())


def test_each_group_of_the_fields_problems_has_its_part(evidence, tmp_path):
    evidence.write_groups(tmp_path)
    text = (ROOT / "docs" / "evidence.md").read_text()
    wanted = set(re.findall(r"include\} auto_evidence/(field-\S+\.inc)", text))
    assert {path.name for path in tmp_path.iterdir()} == wanted
    assert all("| problem | measure | wopt |" in (tmp_path / n).read_text() for n in wanted)


def test_nothing_stored_is_said(evidence, tmp_path):
    assert evidence.rows_of(tmp_path / "none.jsonl") == []
    assert evidence.part(evidence.EVIDENCE[0], [], "", tmp_path) == "Nothing is stored yet.\n"
