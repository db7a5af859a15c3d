"""Ten tiny runs give the numbers that were frozen; `golden.py --check` compares bits."""

import json

import golden
import pytest
import surface
import torch

RELATIVE = 1e-9 if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") else 1e-3
"""Other processors draw initial weights, in float32, by other code: off by 1e-7 at the start."""


@pytest.mark.parametrize("name", golden.RUNS)
def test_a_run_gives_the_frozen_numbers(name, tmp_path):
    frozen = json.loads(golden.FROZEN.read_text())[name]
    golden.RUNS[name](tmp_path / name)
    found = golden.fingerprint(tmp_path / name)
    assert len(frozen["numbers"]) >= 8
    assert not golden.differing(frozen["numbers"], found["numbers"], RELATIVE)
    parts = {file: set(keys) for file, keys in frozen.items()}
    assert {file: set(keys) for file, keys in found.items()} == parts


def test_a_changed_number_is_named():
    frozen = {"nll": 1.0, "kl": 2.0, "gone": 3.0}
    assert golden.differing(frozen, {"nll": 1.0 + 1e-10, "kl": 2.0, "gone": 3.0}, 1e-9) == []
    said = golden.differing(frozen, {"nll": 1.0 + 1e-8, "kl": 2.0, "new": 1.0}, 1e-9)
    assert [line.split(":")[0] for line in said] == ["gone", "new", "nll"]


def test_an_interrupted_run_ends_as_an_unbroken_one():
    """Two of the ten are one run, but for their certificates."""
    data, resumed = (json.loads(golden.FROZEN.read_text())[name] for name in ("data", "resumed"))
    for file in data.keys() - {"certificate.json", "numbers"}:
        assert data[file] == resumed[file], file


def test_a_change_of_the_surface_is_told():
    frozen = {"wopt": ["a: (x)", "b: ()", "c: ()"], surface.WORDS: ["wopt: 1"], "gone": ["d"]}
    now = {"wopt": ["a: (x, y)", "b: ()", "new: ()"], surface.WORDS: ["wopt: 2"]}
    said = [(what, line.splitlines()[0]) for what, line in surface.changes(frozen, now)]
    assert said == [
        ("changed", "wopt: a"), ("removed", "wopt: c"), ("added", "wopt: new"),
        ("reworded", "words: wopt"), ("removed", "gone: d"),
    ]  # fmt: skip


def test_public_names_and_commands_are_those_that_were_frozen():
    """All of it, with files and options, is compared by `surface.py --check`."""
    frozen = json.loads((golden.HERE / "surface.json").read_text())
    now = {}
    for section, item in [*surface.names(), *surface.commands()]:
        if section != surface.WORDS:
            now.setdefault(section, []).append(item)
    said = surface.changes({section: frozen[section] for section in now}, now)
    assert [line for what, line in said if what != "added"] == []
