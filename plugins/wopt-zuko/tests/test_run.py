"""A run from a TOML file that names the block: done, then samples and scores."""

import json
import sys

import numpy as np
import pytest

import wopt
from wopt.cli.main import main

CONFIG = """
seed = 1
[source]
name = "toy"
shape = "moons"
n_train = 600
n_valid = 300
n_test = 300
[objective]
name = "kl"
[scheme]
name = "jko"
step_size = [0.5, 1.0]
[block]
name = "{name}"
transforms = 2
hidden = [16, 16]
[solver]
iterations = 60
batch_size = 200
learning_rate = 1e-2
[stop]
steps = 2
[certify]
particles = 300
iterations = 20
score_rows = 50
transport_rows = 50
"""


@pytest.fixture
def command(monkeypatch):
    """Return the command ``wopt``, run in this process, answering its exit status."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["wopt", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return call


@pytest.mark.parametrize("name", ["coupling", "spline"])
def test_run_sample_score(name, command, tmp_path, capsys):
    config, out = tmp_path / "config.toml", tmp_path / "run"
    config.write_text(CONFIG.format(name=name))
    assert command("run", config, "--out", out) == 0, capsys.readouterr().err
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("done", 2)
    assert result["likelihood_error"] == 0
    assert result["inversion_error"] < 1e-3
    assert np.isfinite(result["nll_test"])
    assert (out / "certificate.json").exists()
    steps = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    assert all(step["energy_change"] < 0 for step in steps)

    assert command("sample", out, "-n", 500, "-o", tmp_path / "s.npy") == 0
    drawn = np.load(tmp_path / "s.npy")
    assert drawn.shape == (500, 3)
    assert command("score", out, tmp_path / "s.npy", "-o", tmp_path / "l.npy") == 0
    # Two passes through the flow, one inverse and one forward, agree on the density.
    np.testing.assert_allclose(np.load(tmp_path / "l.npy")[:, 0], drawn[:, 2], atol=2e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "spline", "bins": 1}, ["spline|bins", "greater than or equal to 2"]),
        ({"name": "maf", "passes": 1}, ["passes", "greater than or equal to 2"]),
        ({"name": "maf", "hidden": []}, ["hidden"]),
        ({"name": "coupling", "activation": "sine"}, ["activation", "silu"]),
        ({"name": "spline", "bound": -1.0}, ["bound", "greater than 0"]),
        ({"name": "zuko", "univariate": "SOSPolynomialTransform"}, ["univariate", "RQS"]),
        ({"name": "zuko", "degree": 3}, ["degree", "unknown option"]),
    ],
)
def test_mistakes_are_told_clearly(options, words):
    with pytest.raises(wopt.ConfigError) as caught:
        wopt.build("block", options)
    for word in words:
        assert any(part in str(caught.value) for part in word.split("|")), str(caught.value)
