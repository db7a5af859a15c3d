"""Every scheme with a trained block on samples: the same run with one key changed."""

import pytest
import torch

import wopt
from wopt.config.model import to_table, validate
from wopt.runs.preparation import prepare
from wopt.store.checkpoint import load_state, save_state
from wopt.store.directory import RunDirectory

ON_ODE = [
    "explicit",
    "explicit_midpoint",
    "extragradient",
    "midpoint",
    "forward_backward",
    "semi_forward_backward",
    "bdf2",
    "crank_nicolson",
    "accelerated",
    "sdirk2",
    "sliced_jko",
]
OPTIONS = {
    "semi_forward_backward": {"curvature": 1.0},
}


def trained(name, train, valid, step_size, steps, **solver):
    return wopt.solve(
        wopt.Particles.start(train),
        valid=wopt.Particles.start(valid),
        scheme={"name": name, "step_size": step_size, **OPTIONS.get(name, {})},
        block={"name": "ode", "width": 16, "sharpness": 1.0, "steps": 2, "jitter": 0},
        solver=wopt.InnerSolver(**solver),
        stop=wopt.Stop(steps=steps),
    )


@pytest.mark.parametrize("name", ON_ODE)
def test_one_key_changes_the_scheme(name):
    """Data far from the target: the energy falls in every step."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(800, 2, generator=rng) * torch.tensor([2.0, 0.4]) + 1
    found = trained(
        name, x[:600], x[600:], 0.1, 2, iterations=40, batch_size=200, learning_rate=0.01
    )
    assert found.status == "done", found.reason
    assert all(r.energy_change < 0 for r in found.history)


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
