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
    golden.RUNS[name](tmp_path / name)
    frozen = json.loads(golden.FROZEN.read_text())[name]
    found = golden.fingerprint(tmp_path / name)
    assert golden.differing(frozen, found, RELATIVE) == []


def test_a_changed_number_is_named():
    frozen = {"a.json": {"nll": 1.0, "kl": 2.0, "gone": 3.0, "bits": "1f"}}
    now = {"a.json": {"nll": 1.0 + 1e-8, "kl": 2.0 + 1e-10, "new": 1.0, "bits": "2f"}}
    wrong = [line.split()[1] for line in golden.differing(frozen, now, 1e-9)]
    assert wrong == ["gone", "new", "nll"]
    assert len(golden.differing(frozen, now)) == 5


def test_an_interrupted_run_ends_as_an_unbroken_one():
    """Two of the ten are one run, but for their certificates."""
    data, resumed = (json.loads(golden.FROZEN.read_text())[name] for name in ("data", "resumed"))
    assert data.pop("certificate.json") != resumed.pop("certificate.json")
    assert data == resumed


def test_a_change_of_the_surface_is_told():
    frozen = {"wopt": ["a: (x)", "b: ()", "c: ()"], surface.WORDS: ["wopt: 1"], "gone": ["d"]}
    now = {"wopt": ["a: (x, y)", "b: ()", "new: ()"], surface.WORDS: ["wopt: 2"]}
    said = [(what, line.splitlines()[0]) for what, line in surface.changes(frozen, now)]
    assert said == [
        ("changed", "wopt: a"), ("removed", "wopt: c"), ("added", "wopt: new"),
        ("reworded", "words: wopt"), ("removed", "gone: d"),
    ]  # fmt: skip


def test_names_commands_and_options_are_those_that_were_frozen():
    """Limits of options too. With files, all of it is compared by `surface.py --check`."""
    frozen, now = json.loads((golden.HERE / "surface.json").read_text()), {}
    for section, item in [*surface.names(), *surface.commands(), *surface.options()]:
        now.setdefault(section, []).append(item)
    said = surface.changes({section: frozen.get(section, []) for section in now}, now)
    assert [line for what, line in said if what in ("removed", "changed")] == []
