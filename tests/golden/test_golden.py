"""Ten tiny runs give the numbers that were frozen; `golden.py --check` compares bits."""

import json

import golden
import pytest
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
