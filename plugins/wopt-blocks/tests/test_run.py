"""Runs from a TOML file that names the block: done, then samples and scores."""

import json

import numpy as np

KL = """
seed = 1
[source]
name = "toy"
shape = "moons"
n_train = 400
n_valid = 200
n_test = 200
[objective]
name = "kl"
[scheme]
name = "jko"
step_size = [0.5, 1.0]
[block]
name = "icnn"
width = 16
[solver]
iterations = 40
batch_size = 200
learning_rate = 1e-2
[stop]
steps = 2
[certify]
enabled = false
"""

PARTICLES = """
seed = 1
[source]
name = "gaussian"
dim = 2
n_train = 300
n_valid = 150
n_test = 150
[objective]
name = "mmd"
samples = 200
[objective.target]
name = "gaussian"
mean = [1.5, -1.0]
[scheme]
name = "jko"
step_size = 1.0
[block]
name = "particles"
[solver]
iterations = 60
batch_size = 150
learning_rate = 5e-2
[stop]
steps = 2
[certify]
enabled = false
"""


def finished(out):
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("done", 2), result["reason"]
    steps = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    assert all(step["energy_change"] < 0 for step in steps)
    assert (out / "report.html").stat().st_size > 1000
    return result


def test_run_sample_score(command, tmp_path, capsys):
    config, out = tmp_path / "config.toml", tmp_path / "run"
    config.write_text(KL)
    assert command("run", config, "--out", out) == 0, capsys.readouterr().err
    result = finished(out)
    assert result["likelihood_error"] == 0
    assert result["inversion_error"] < 1e-3
    assert np.isfinite(result["nll_test"])

    assert command("sample", out, "-n", 500, "-o", tmp_path / "s.npy") == 0
    drawn = np.load(tmp_path / "s.npy")
    assert drawn.shape == (500, 3)
    assert command("score", out, tmp_path / "s.npy", "-o", tmp_path / "l.npy") == 0
    # Two passes through the flow, one inverse and one forward, agree on the density.
    np.testing.assert_allclose(np.load(tmp_path / "l.npy")[:, 0], drawn[:, 2], atol=2e-3)


def test_particles_run_and_are_sampled(command, tmp_path, capsys):
    config, out = tmp_path / "config.toml", tmp_path / "run"
    config.write_text(PARTICLES)
    assert command("run", config, "--out", out) == 0, capsys.readouterr().err
    result = finished(out)
    assert result["inversion_error"] is None
    assert result["model"] == "push_forward"
    assert command("sample", out, "-n", 400, "-o", tmp_path / "s.npy") == 0
    drawn = np.load(tmp_path / "s.npy")
    assert np.isfinite(drawn[:, :2]).all()
    assert np.isnan(drawn[:, 2]).all()  # samples, but no density
    assert np.linalg.norm(drawn[:, :2].mean(0)) > 0.15  # on its way to (1.5, -1)
    capsys.readouterr()
    assert command("score", out, tmp_path / "s.npy", "-o", tmp_path / "l.npy") == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert "block particles has no inverse" in printed
