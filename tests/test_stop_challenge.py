"""``stop.challenge`` ends a run as a user meets it, and its last challenge is the certificate's."""

import json

import numpy as np


def test_a_free_step_that_gains_nothing_ends_the_run(command, config, tmp_path, monkeypatch):
    """Affine steps of h = 0.5 to a Gaussian leave less than half of what was left, from 0.5 nats.

    No other rule of the run is set but the number of steps.
    """
    monkeypatch.setattr("wopt.runs.loop._LEAST", 0.3)  # CPU seconds of a challenge
    x = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 3000)
    np.save(tmp_path / "rows.npy", x)
    table = {
        "source": {"name": "array", "path": str(tmp_path / "rows.npy"), "preprocess": "none"},
        "block": {"name": "affine"},
        "scheme": {"name": "jko", "step_size": 0.5},
        "solver": {"iterations": 80, "batch_size": 500, "learning_rate": 0.05},
        "stop": {"steps": 12, "challenge": 0.03},
        "certify": {"iterations": 0, "transport_rows": 0, "two_sample": False},
    }
    run = tmp_path / "run"
    answer = command("run", config(table), "--out", run)
    assert answer.status == 0, answer.err
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "done"
    assert result["reason"].startswith("a free step gains ")
    assert result["reason"].endswith("less than stop.challenge = 0.03")
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    assert 2 <= len(steps) <= 4
    assert [step["stop"] for step in steps[:-1]] == [None] * (len(steps) - 1)
    # What was left before the last step was worth a step, and what is left now is not.
    assert steps[-2]["nll_valid"] - steps[-1]["nll_valid"] > 0.005
    certificate = json.loads((run / "certificate.json").read_text())
    side = certificate["challengers"]
    assert f"gains {side['value']:.3g} nats" in result["reason"]
    assert certificate["kl"]["lower"] < 0.03
