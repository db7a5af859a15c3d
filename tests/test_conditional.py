"""Conditional flows: the law of some columns given others, against a linear-Gaussian truth."""

import json
import math

import numpy as np
import pytest
import torch

import wopt
from wopt.testing import AffineBlock

SLOPE = np.array([[1.5], [-0.7]])
NOISE = np.array([[0.6, 0.0], [0.3, 0.4]])


def rows(n=3000, seed=0):
    """Return (x, y, u) with (x, y) | u ~ N(B u, A A^T), u in the middle column."""
    draw = np.random.default_rng(seed)
    u = draw.uniform(-2, 2, size=(n, 1))
    xy = u @ SLOPE.T + draw.normal(size=(n, 2)) @ NOISE.T
    return np.column_stack([xy[:, :1], u, xy[:, 1:]])


def entropy():
    """Return E h((x, y) | u) in nats."""
    return math.log(2 * math.pi * math.e) + math.log(abs(np.linalg.det(NOISE)))


def table(path, block, **solver):
    np.savetxt(path, rows(), delimiter=",", header="x,u,y", comments="")
    return {
        "source": {"name": "array", "path": str(path), "context": ["u"]},
        "scheme": {"name": "jko", "step_size": [4.0, 100.0]},
        "block": block,
        "solver": {"iterations": 150, "batch_size": 300, "learning_rate": 0.03, **solver},
        "stop": {"steps": 2},
        "certify": {"transport_rows": 0, "iterations": 0},
    }


BLOCKS = [
    pytest.param({"name": "affine"}, id="affine"),
    pytest.param(
        {"name": "ode", "width": 16, "sharpness": 1.0, "steps": 2}, id="ode", marks=pytest.mark.slow
    ),
]


@pytest.fixture(scope="module", params=BLOCKS)
def trained(request, tmp_path_factory):
    from wopt.config.model import validate
    from wopt.runs.execute import run_config

    folder = tmp_path_factory.mktemp("conditional")
    run_config(validate(table(folder / "rows.csv", request.param)), folder / "run")
    return folder


def test_the_likelihood_is_that_of_the_columns_given_the_condition(trained):
    result = json.loads((trained / "run" / "result.json").read_text())
    assert result["status"] == "done"
    # The truth is linear and Gaussian, so the baseline of a joint Gaussian is the truth, almost.
    error = result["nll_error"]
    assert abs(result["nll_gaussian"] - entropy()) < 4 * error
    # Test rows are the same for both, so their difference is much less noisy.
    assert -0.01 < result["nll_test"] - result["nll_gaussian"] < 0.05


def test_the_log_density_is_normalised_given_the_condition(trained):
    model = wopt.load(trained / "run")
    assert model.names == ("x", "y", "u")
    side = torch.linspace(-8, 8, 161, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    for u in (-1.0, 1.5):
        points = torch.cat([grid, torch.full((len(grid), 1), u, dtype=torch.float64)], 1)
        mass = float(model.log_prob(points).double().exp().sum() * 0.1**2)
        assert mass == pytest.approx(1, abs=2e-3)


def test_samples_follow_the_condition(command, trained, tmp_path):
    np.savetxt(
        tmp_path / "u.csv", np.repeat([[-1.5], [1.0]], 4000, axis=0), header="u", comments=""
    )
    answer = command(
        "sample", trained / "run", "-o", tmp_path / "s.csv", "--conditions", tmp_path / "u.csv"
    )
    assert answer.status == 0, answer.err
    found = np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1)
    assert found.shape == (8000, 4)
    assert set(found[:, 2].round(5)) == {-1.5, 1.0}
    covariance = NOISE @ NOISE.T
    for u, part in ((-1.5, found[:4000]), (1.0, found[4000:])):
        # Standard error of a mean: 0.01; of the fit itself, on 2400 rows, about as much.
        assert np.abs(part[:, :2].mean(0) - SLOPE[:, 0] * u).max() < 0.08
        assert np.abs(np.cov(part[:, :2].T) - covariance).max() < 0.08
        truth = torch.distributions.MultivariateNormal(
            torch.from_numpy(SLOPE[:, 0] * u), torch.from_numpy(covariance)
        )
        exact = truth.log_prob(torch.from_numpy(part[:, :2])).numpy()
        assert np.abs(part[:, 3] - exact).mean() < 0.15


def test_without_conditions_they_are_those_of_the_data(command, trained, tmp_path):
    answer = command("sample", trained / "run", "-n", "2000", "-o", tmp_path / "s.npy")
    assert answer.status == 0, answer.err
    found = np.load(tmp_path / "s.npy")
    assert np.abs(np.cov(found[:, :3].T) - np.cov(rows()[:, [0, 2, 1]].T)).max() < 0.25


def test_scores_of_rows_in_any_order_of_columns(command, trained, tmp_path):
    data = rows(50, seed=3)
    np.savetxt(tmp_path / "new.csv", data, delimiter=",", header="x,u,y", comments="")
    answer = command("score", trained / "run", tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    assert answer.status == 0, answer.err
    found = np.loadtxt(tmp_path / "out.csv", skiprows=1)
    centred = data[:, [0, 2]] - data[:, [1]] @ SLOPE.T
    law = torch.distributions.MultivariateNormal(
        torch.zeros(2).double(), torch.from_numpy(NOISE @ NOISE.T)
    )
    assert np.abs(found - law.log_prob(torch.from_numpy(centred)).numpy()).mean() < 0.15


def test_it_goes_on_and_is_certified(command, trained):
    assert command("resume", trained / "run").status == 0
    answer = command("certify", trained / "run")
    assert answer.status == 0, answer.err
    found = json.loads((trained / "run" / "certificate.json").read_text())
    # Test fields along the condition would see a divergence that no map can cause.
    assert found["steps"][-1]["residual"]["value"] < 0.3
    assert found["round_trip"]["data"]["value"] < 1e-2


def test_mistakes(command, config, tmp_path):
    path = tmp_path / "rows.csv"
    given = table(path, {"name": "affine"})
    given["source"]["context"] = ["w"]
    assert command("validate", config(given)).is_mistake("w", "x, u, y")
    given["source"]["context"] = ["x", "y", "u"]
    assert command("run", config(given), "--out", tmp_path / "a").is_mistake("none is left")
    given["source"]["context"] = ["u"]
    given["objective"] = {"name": "mmd", "target": "gaussian"}
    assert command("run", config(given), "--out", tmp_path / "b").is_mistake("MMD", "choose kl")
    given.pop("objective")
    given["smooth_time"] = 0.1
    assert command("run", config(given), "--out", tmp_path / "c").is_mistake("smooth_time")
    assert not (tmp_path / "c").exists()


def test_an_unconditional_block_is_refused():
    class Plain(AffineBlock):
        pass

    from wopt.interfaces.block import new_block

    with pytest.raises(wopt.CapabilityError, match="CONDITION"):
        new_block(wopt.build("block", Plain), 2, 1)


def test_conditions_of_samples_are_checked(trained):
    flow = wopt.load(trained / "run")
    with pytest.raises(wopt.DataError, match=r"with c = 1, got shape \(4, 2\)"):
        flow.sample(5, conditions=torch.zeros(4, 2))
    with pytest.raises(wopt.DataError, match="finite"):
        flow.sample(1, conditions=torch.tensor([math.nan]))


def test_conditions_broadcast(trained):
    flow = wopt.load(trained / "run")
    y = flow.sample((3,), conditions=torch.tensor([[-1.0], [0.5]]))
    assert y.shape == (3, 2, 2)
    u = torch.tensor([[-1.0], [0.5]])
    glued = torch.cat([y, u.expand(3, 2, 1)], dim=-1)
    torch.testing.assert_close(flow.log_prob(y, conditions=u), flow.log_prob(glued))
    one = flow.log_prob(y, conditions=[0.5])
    torch.testing.assert_close(one[:, 1], flow.log_prob(glued)[:, 1])
    with pytest.raises(wopt.DataError, match="cannot be broadcast"):
        flow.log_prob(y, conditions=torch.zeros(5, 1))


def test_fit_takes_conditions():
    data = rows()
    found = wopt.fit(
        data[:, [0, 2]],
        conditions=data[:, [1]],
        block="affine",
        solver=wopt.InnerSolver(iterations=150, learning_rate=0.05),
        scheme={"name": "jko", "step_size": 100.0},
        stop=wopt.Stop(steps=1),
        dtype=torch.float64,
    )
    x = found.flow.sample(4000, conditions=[1.0])
    assert x.shape == (4000, 2)
    assert np.abs(x.mean(0).numpy() - SLOPE[:, 0]).max() < 0.15
    with pytest.raises(wopt.DataError, match="rows beside x"):
        wopt.fit(data[:, [0, 2]], conditions=data[:5, [1]])
