"""Runs from a TOML file that names the block: done, then samples and scores."""

import json
import tomllib

import numpy as np
import pytest
import torch

import wopt
from wopt.config.model import to_table, validate
from wopt.runs.preparation import prepare
from wopt.store.checkpoint import load_state, save_state
from wopt.store.directory import RunDirectory

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
{block}
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
{objective}
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

MMD = """name = "mmd"
samples = 200
[objective.target]
name = "gaussian"
mean = [1.5, -1.0]
"""

INTERACTION = """name = "interaction"
kernel = "attraction_repulsion"
"""


def finished(out):
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("done", 2), result["reason"]
    steps = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    assert all(step["energy_change"] < 0 for step in steps)
    assert (out / "report.html").stat().st_size > 1000
    return result


@pytest.mark.parametrize(
    "block",
    [
        'name = "affine"',
        'name = "icnn"\nwidth = 16',
        'name = "residual"\nwidth = 16',
    ],
    ids=["affine", "icnn", "residual"],
)
def test_run_sample_score(block, command, tmp_path, capsys):
    config, out = tmp_path / "config.toml", tmp_path / "run"
    config.write_text(KL.format(block=block))
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


@pytest.mark.parametrize("objective", [MMD, INTERACTION], ids=["mmd", "interaction"])
def test_particles_run_and_are_sampled(objective, command, tmp_path, capsys):
    config, out = tmp_path / "config.toml", tmp_path / "run"
    config.write_text(PARTICLES.format(objective=objective))
    assert command("run", config, "--out", out) == 0, capsys.readouterr().err
    result = finished(out)
    assert result["inversion_error"] is None
    assert result["model"] == "push_forward"
    assert command("sample", out, "-n", 400, "-o", tmp_path / "s.npy") == 0
    drawn = np.load(tmp_path / "s.npy")
    assert np.isfinite(drawn[:, :2]).all()
    assert np.isnan(drawn[:, 2]).all()  # samples, but no density
    if objective is MMD:
        assert np.linalg.norm(drawn[:, :2].mean(0)) > 0.15  # on its way to (1.5, -1)
    capsys.readouterr()
    assert command("score", out, tmp_path / "s.npy", "-o", tmp_path / "l.npy") == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert "block particles has no inverse" in printed


def test_particles_resume_to_the_same_bits(tmp_path):
    """From a checkpoint after one step, as an unbroken run of two."""
    config = validate(tomllib.loads(PARTICLES.format(objective=MMD)))
    made = prepare(config, config.source.load(seed=0))
    start = made.problem.begin(made.train, made.valid)
    states = [state for state, _ in wopt.iterate(made.problem, start)]
    run = RunDirectory(tmp_path / "run")
    run.create(to_table(config))
    save_state(run, states[0], config)
    resumed, _ = next(
        wopt.iterate(made.problem, load_state(run, config, 2, 0, (made.train, made.valid)))
    )
    for split in ("train", "valid"):
        points, expected = (getattr(s, split).particles.points for s in (resumed, states[1]))
        assert torch.equal(points, expected)


def test_particles_with_kl_is_a_clear_mistake(command, tmp_path, capsys):
    config = tmp_path / "config.toml"
    config.write_text(KL.format(block='name = "particles"'))
    assert command("run", config, "--out", tmp_path / "run") == 2
    printed = capsys.readouterr().err
    for word in ("LOG_DET", "FreeParticles", "mmd"):
        assert word in printed
    assert "Traceback" not in printed
