import json

import pytest
import report_parts as parts
import safetensors.torch
import torch

from wopt.errors import ConfigError, RunError
from wopt_report import render

FIGURES = {
    "`paths` has shape": {"paths": torch.ones(3, 2)},
    "is damaged": {"labels": torch.ones(3, dtype=torch.uint8)},
}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("steps.jsonl", '{"step": 1, "ener', "line 1 is not JSON"),
        ("steps.jsonl", '{"step": 1, "step_size": 1, "energy": 1}\n', "has no `energy_change`"),
        ("steps.jsonl", json.dumps(parts.record(1, energy="low")) + "\n", "number, got 'low'"),
        ("steps.jsonl", b"\xff\xfe\x00", "codec"),
        ("result.json", "{}", "`status`"),
        ("result.json", json.dumps(parts.RESULT | {"versions": 3}), "versions: "),
        ("certificate.json", "{}", "no `gap`; make it again with `wopt certify"),
        ("config.toml", "seed = ", "is damaged"),
        ("figures.safetensors", b"short", "is damaged"),
        *(("figures.safetensors", safetensors.torch.save(t), says) for says, t in FIGURES.items()),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, says):
    folder = parts.write_run(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    with pytest.raises(RunError, match=says) as caught:
        render(folder)
    assert str(folder / name) in str(caught.value)
    assert not (folder / "report.html").exists()


def test_a_truncated_file_of_tensors(tmp_path):
    folder = parts.write_run(tmp_path, tensors={"paths": torch.randn(3, 50, 2)})
    path = folder / "figures.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RunError, match=r"figures\.safetensors: is damaged"):
        render(folder)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="not a run directory"):
        render(tmp_path)
    with pytest.raises(ConfigError, match="not a run directory"):
        render(tmp_path / "missing")
