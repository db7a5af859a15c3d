"""On real data, accelerated steps reach jko's likelihoods in at most half the blocks."""

import os
from pathlib import Path

import pytest

import wopt
from wopt.config.model import validate
from wopt.runs.preparation import prepare
from wopt.seeds import derive

DATA = Path(os.environ.get("WOPT_DATA", Path(__file__).parents[4] / "shared" / "data"))
H = 0.01


def likelihoods(scheme, steps):
    """Return the held-out NLL by step."""
    config = validate(
        {
            "source": {"name": "array", "path": str(DATA / "tabular" / "magic.npz"), "key": "X"},
            "scheme": {"name": scheme, "step_size": H},
            "block": {"name": "ode", "width": 96, "sharpness": 6.0, "steps": 2},
            "solver": {"learning_rate": 4e-3, "iterations": 80, "ema": 0.9},
            "stop": {"steps": steps},
        }
    )
    ready = prepare(config, config.source.load(derive(config.seed, "source")))
    state = ready.problem.begin(ready.train, ready.valid)
    return [record.nll_valid for _, record in wopt.iterate(ready.problem, state)]


@pytest.mark.slow
def test_half_the_blocks():
    if not DATA.is_dir():
        pytest.skip(f"the real data are not at {DATA}; set WOPT_DATA")
    plain, fast = likelihoods("jko", 30), likelihoods("accelerated", 15)
    for step in (20, 22, 24, 26, 28, 30):
        assert min(fast[: step // 2]) <= plain[step - 1], (step, plain[step - 1], fast)
