"""What a run leaves: the files and keys of the contract, written whole or not at all."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import wopt
from wopt.files import replacing, write_json, write_text
from wopt.runs.loading import load_run
from wopt.tensors import read_tensors, write_tensors

FILES = {
    "config.toml", "steps.jsonl", "result.json", "blocks/001.safetensors",
    "blocks/002.safetensors", "state.safetensors", "samples.npy", "report.html", "log.txt",
}  # fmt: skip
STEP = {
    "step", "step_size", "energy", "energy_change", "w2_step", "residual", "nll_valid",
    "likelihood_error", "inversion_error", "retries", "seconds", "cpu_seconds",
}  # fmt: skip
RESULT = {
    "status", "reason", "steps", "nll_test", "nll_gaussian", "entropy", "likelihood_error",
    "inversion_error", "parameters", "seconds", "cpu_seconds", "versions",
}  # fmt: skip


def steps_of(path):
    return [json.loads(line) for line in (path / "steps.jsonl").read_text().splitlines()]


def result_of(path):
    return json.loads((path / "result.json").read_text())


def test_the_files_of_the_contract(finished_run):
    there = {p.relative_to(finished_run).as_posix() for p in finished_run.rglob("*")}
    assert there >= FILES
    assert not [name for name in there if Path(name).name.startswith(".")]


def test_the_keys_of_a_step(finished_run):
    records = steps_of(finished_run)
    assert [r["step"] for r in records] == [1, 2]
    assert [r["step_size"] for r in records] == [0.5, 1.0]
    for record in records:
        assert set(record) >= STEP
        assert record["nll_valid"] > 0
    change = records[1]["energy"] - records[0]["energy"]
    assert records[1]["energy_change"] == pytest.approx(change, abs=1e-6)


def test_the_keys_of_the_result(finished_run):
    result = result_of(finished_run)
    assert set(result) >= RESULT
    assert (result["status"], result["steps"], result["entropy"]) == ("done", 2, None)
    blocks = [load_file(finished_run / f"blocks/00{k}.safetensors") for k in (1, 2)]
    trained = sum(t.numel() for b in blocks for k, t in b.items() if k != "steps")
    assert result["parameters"] == trained
    assert {"python", "torch", "wopt-core", "wopt-jko"} <= set(result["versions"])
    records = steps_of(finished_run)
    assert result["seconds"] >= sum(r["seconds"] for r in records) > 0


def test_samples_are_those_of_the_model(finished_run):
    samples = np.load(finished_run / "samples.npy", allow_pickle=False)
    assert samples.shape == (2000, 2)
    assert np.isfinite(samples).all()
    # Of moons, standardised data in their own units: the model knows where they lie.
    data = load_run(finished_run).config.source.load(0).train.numpy()
    assert np.abs(samples.mean(0) - data.mean(0)).max() < 0.5 * data.std(0).max()


def test_the_resolved_configuration_makes_the_same_run(command, finished_run, tmp_path):
    words = "--out", tmp_path / "again", "--set", "certify.enabled=false"
    assert command("run", finished_run / "config.toml", *words).status == 0
    for name in ("blocks/001.safetensors", "blocks/002.safetensors", "samples.npy"):
        assert (tmp_path / "again" / name).read_bytes() == (finished_run / name).read_bytes(), name


@pytest.mark.parametrize("preprocess", ["none", "standardise"])
def test_other_preprocessings_can_be_saved(command, config, tiny, tmp_path, preprocess):
    tiny["source"] |= {"preprocess": preprocess}
    tiny["solver"] = {"iterations": 1}
    assert command("run", config(tiny), "--out", tmp_path / "out").status == 0
    flow = wopt.load(tmp_path / "out")
    x = torch.randn(5, 2)
    torch.testing.assert_close(flow.transform.inverse(flow.transform.move(x))[0], x.double())


def test_a_start_is_pushed_forward(command, config, tiny, tmp_path):
    sizes = {"n_train": 500, "n_valid": 200, "n_test": 200}
    tiny["source"] = {"name": "gaussian", "mean": [1.0, 0.0], **sizes}
    out = tmp_path / "out"
    answer = command("run", config(tiny), "--out", out)
    assert answer.status == 0, answer.err
    result = result_of(out)
    assert result["entropy"] == pytest.approx(np.log(2 * np.pi * np.e))
    # Draws of the start are no data: their likelihood says nothing of the model.
    assert (result["nll_test"], result["nll_gaussian"]) == (None, None)
    assert result["kl_of"] == "KL(model | target)"
    assert result["kl"] < 0.6
    assert "KL(model | target) is about" in answer.out
    for words in ("KL(data", "better than the Gaussian", "test NLL"):
        assert words not in answer.out
    page = (out / "report.html").read_text()
    assert "KL(model | target)" in page
    for words in ("KL(data", "than a Gaussian", "Test NLL"):
        assert words not in page
    assert isinstance(wopt.load(out).map, wopt.Inverse)
    assert np.load(out / "samples.npy").shape == (2000, 2)


def test_sample_and_score_agree(command, finished, tmp_path):
    table = tmp_path / "x.csv"
    assert command("sample", finished, "-n", "20", "-o", table, "--seed", "5").status == 0
    assert command("score", finished, table, "-o", tmp_path / "l.npy").status == 0
    rows = np.genfromtxt(table, delimiter=",", names=True)
    assert rows.dtype.names == ("x0", "x1", "log_density")
    scores = np.load(tmp_path / "l.npy")[:, 0]
    assert rows["log_density"] == pytest.approx(scores, abs=1e-4)
    assert np.std(scores) > 0.1


def test_samples_that_overflowed_are_told(command, finished, tmp_path, monkeypatch):
    def overflowing(flow, n, generator, conditions, audit):
        return torch.full((n, 2), 1.0).index_fill(0, torch.arange(3), torch.inf), torch.zeros(n)

    monkeypatch.setattr(wopt.Flow, "sample_and_log_prob", overflowing)
    answer = command("sample", finished, "-n", "20", "-o", tmp_path / "x.npy")
    assert answer.status == 0
    assert "3 of 20 samples are not finite" in answer.err
    assert np.load(tmp_path / "x.npy").shape == (20, 3)


def test_score_finds_columns_by_name(command, finished, tmp_path):
    command("sample", finished, "-n", "9", "-o", tmp_path / "x.csv")
    rows = np.genfromtxt(tmp_path / "x.csv", delimiter=",", skip_header=1)
    np.savetxt(tmp_path / "y.csv", rows[:, [1, 2, 0]], delimiter=",", header="x1,y,x0", comments="")
    for name in ("x", "y"):
        out = tmp_path / f"{name}.npy"
        assert command("score", finished, tmp_path / f"{name}.csv", "-o", out).status == 0
    assert np.load(tmp_path / "x.npy") == pytest.approx(np.load(tmp_path / "y.npy"))


# Whole or not at all.

WRITERS = {
    "text": lambda path: write_text(path, "new"),
    "json": lambda path: write_json(path, {"new": 1}),
    "tensors": lambda path: write_tensors(path, {"new": torch.ones(3)}, {}),
}


@pytest.mark.parametrize(
    ("writer", "method"),
    [
        *[(writer, "replace") for writer in WRITERS],
        ("text", "write_text"),
        ("json", "write_text"),
        ("tensors", "write_bytes"),
    ],
)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, writer, method):
    def full(self, *_, **__):
        if method != "replace":
            with self.open("w") as file:
                file.write("hal")
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, method, full)
        with pytest.raises(wopt.RunError, match=r"cannot write .*file: the disk is full"):
            WRITERS[writer](path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_error_of_the_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fails():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_up_in_a_run(command, config, tiny, finished_run, tmp_path, monkeypatch):
    out, real = tmp_path / "out", Path.replace

    def full(self, target):
        if Path(target).name == "002.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        answer = command("run", config(tiny), "--out", out)
    assert answer.is_mistake("002.safetensors", "the disk is full", "wopt resume", status=1)
    assert {p.name for p in (out / "blocks").iterdir()} == {"001.safetensors"}
    # With space again the run goes on to the bits it would have had.
    assert command("resume", out).status == 0
    for name in ("blocks/002.safetensors", "samples.npy"):
        assert (out / name).read_bytes() == (finished_run / name).read_bytes()
    assert len(steps_of(out)) == 2


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": [float("nan"), float("inf"), 1.5], "b": (float("nan"),)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, None, 1.5], "b": [None]}


def test_tensors_come_back_to_the_bit(tmp_path):
    tensors = {
        "a": torch.randn(3, 2, dtype=torch.float64),
        "view": torch.randn(4, 4)[:, 1:3],
        "scalar": torch.tensor(7),
    }
    write_tensors(tmp_path / "x", tensors, {"key": "value"})
    found, metadata = read_tensors(tmp_path / "x")
    assert metadata == {"key": "value"}
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_tensors_that_share_memory_can_be_written(tmp_path):
    x = torch.randn(3)
    write_tensors(tmp_path / "x", {"a": x, "b": x, "c": x[:2]}, {})
    found, _ = read_tensors(tmp_path / "x")
    assert torch.equal(found["a"], found["b"])
    assert torch.equal(found["c"], x[:2])
