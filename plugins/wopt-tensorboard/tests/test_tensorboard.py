"""A run's records are in the event files, as TensorBoard itself reads them."""

import json

import pytest

pytest.importorskip("tensorboard")

from wopt.config.model import validate
from wopt.runs.execute import run_config


@pytest.mark.filterwarnings("ignore")
def test_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    table = {
        "source": {"name": "toy", "shape": "moons", "n_train": 100, "n_valid": 100, "n_test": 50},
        "block": {"name": "affine"},
        "solver": {"optimiser": "lbfgs"},
        "stop": {"steps": 2},
        "certify": {"enabled": False},
        "tracker": {"name": "tensorboard", "folder": str(tmp_path / "events"), "run": "one"},
    }
    result = run_config(validate(table), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "events/one"))
    events.Reload()
    lines = [json.loads(x) for x in (tmp_path / "run/steps.jsonl").read_text().splitlines()]
    found = events.Scalars("energy")
    assert [e.step for e in found] == [1, 2]
    assert [e.value for e in found] == pytest.approx([line["energy"] for line in lines], rel=1e-6)
    assert events.Scalars("result/nll_test")[0].value == pytest.approx(result.nll_test, rel=1e-6)
    assert not (tmp_path / "run/log.txt").read_text().count("tracker failed")
