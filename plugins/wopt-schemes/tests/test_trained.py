"""Every scheme with a trained block on samples: the same run with one key changed."""

import torch

import wopt
from wopt.config.model import to_table, validate
from wopt.runs.preparation import prepare
from wopt.store.checkpoint import load_state, save_state
from wopt.store.directory import RunDirectory


def test_momentum_and_restart_resume_to_the_same_bits(tmp_path):
    """From a checkpoint after two steps, as an unbroken run of three."""
    config = validate(
        {
            "seed": 3,
            "source": {"name": "toy", "n_train": 240, "n_valid": 240, "n_test": 60},
            "scheme": {"name": "accelerated", "step_size": 0.3, "convexity": 0},
            "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
            "solver": {"iterations": 20, "batch_size": 120, "learning_rate": 0.01},
            "stop": {"steps": 3},
        }
    )
    made = prepare(config, config.source.load(seed=0))
    start = made.problem.begin(made.train, made.valid)
    states = [state for state, _ in wopt.iterate(made.problem, start)]
    run = RunDirectory(tmp_path / "run")
    run.create(to_table(config))
    for state in states[:2]:
        save_state(run, state, config)
    resumed, _ = next(wopt.iterate(made.problem, load_state(run, config, dim=2)))
    assert dict(resumed.plan) == dict(states[2].plan)
    assert resumed.plan["momentum"] > 0
    points, expected = (s.train.particles.points for s in (resumed, states[2]))
    assert torch.equal(points, expected)
