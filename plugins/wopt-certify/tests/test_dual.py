"""Steps bounded from both sides: closed forms of Gaussians, and laws that are none."""

import math

import torch
from by_hand import w2_squared
from torch.distributions import MultivariateNormal, kl_divergence

import wopt
from wopt.testing import AffineBlock, gaussian_kl, gaussian_nodes, jko_step, moments
from wopt_certify.dual import DualBound, Quadratic, log_partition, step_map

H = 0.5
MEAN = torch.tensor([1.0, -0.5], dtype=torch.float64)
COV = torch.tensor([[2.0, 0.4], [0.4, 0.7]], dtype=torch.float64)
Q_MEAN = torch.tensor([0.0, 0.3], dtype=torch.float64)
Q_COV = torch.tensor([[1.0, -0.3], [-0.3, 0.5]], dtype=torch.float64)
TARGET = {"name": "gaussian", "mean": Q_MEAN.tolist(), "covariance": Q_COV.tolist()}


def solved(steps, target=TARGET, start=None, solver=None):
    solution = wopt.solve(
        gaussian_nodes(MEAN, COV) if start is None else start,
        objective={"name": "kl", "target": target},
        scheme={"name": "jko", "step_size": H},
        block=AffineBlock(2),
        solver=solver or {"optimiser": "lbfgs", "iterations": 300},
        guard={"standard_errors": 100.0},
        stop={"steps": steps},
        dtype="float64",
    )
    return wopt.FinishedRun(solution.prepared, solution.state)


def test_exact_steps_have_no_gap():
    run = solved(3)
    assert DualBound().applies(run) is None
    report = DualBound().measure(run)
    assert report.exact
    assert len(report.steps) == 3
    mean, cov = MEAN, COV
    for step in report.steps:
        mean, cov = jko_step(mean, cov, Q_MEAN, Q_COV, H)
        assert abs(step.value - step.bound) < 1e-7
        assert step.error == 0
        assert gaussian_kl(mean, cov, Q_MEAN, Q_COV) <= step.kl


def test_the_gap_and_the_distance_hold_for_poor_maps():
    run = solved(1, solver={"iterations": 20, "learning_rate": 0.02})
    report = DualBound().measure(run)
    (step,) = report.steps
    exact = jko_step(MEAN, COV, Q_MEAN, Q_COV, H)
    least = gaussian_kl(*exact, Q_MEAN, Q_COV) + float(w2_squared(MEAN, COV, *exact)) / (2 * H)
    found = moments(run.state.valid.particles)
    assert math.isclose(step.bound, least, abs_tol=1e-9)
    assert step.gap > 1e-4
    distance = float(w2_squared(*found, *exact)) ** 0.5
    assert distance <= step.w2 < 3 * distance
    assert gaussian_kl(*found, Q_MEAN, Q_COV) <= step.kl
    assert f"KL to the target is at most {step.kl:.4g} nats" in report.summary


def test_the_bound_is_below_every_map_where_the_target_is_not_gaussian():
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 2, dtype=torch.float64, generator=rng)
    law = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    start = wopt.Particles.start(points, None, law.log_prob(points))
    mixture = {"name": "mixture", "means": [[-1.0, 0.0], [1.0, 0.0]]}
    report = DualBound().measure(solved(1, mixture, start))
    (step,) = report.steps
    assert not report.exact
    assert step.error > 0
    assert step.gap >= step.value - step.bound > -2 * step.error


def test_quadratics_are_those_of_the_definition():
    rng = torch.Generator().manual_seed(1)
    phi = step_map(MEAN, COV, Q_MEAN, Q_COV, H)
    x = torch.randn(5, 2, dtype=torch.float64, generator=rng)
    y = torch.randn(20_000, 2, dtype=torch.float64, generator=rng) * 2
    least = (torch.cdist(x, y).square() / 2 - phi(y)).amin(1)
    short = least - phi.transform(x)
    assert (short >= -1e-12).all()
    assert (short < 0.05).all()
    law = MultivariateNormal(Q_MEAN, Q_COV)
    draws = law.sample((400_000,))
    mean = float((-phi(draws) / H).exp().mean())
    assert math.isclose(log_partition(phi, Q_MEAN, Q_COV, H), math.log(mean), abs_tol=0.03)
    steep = Quadratic(-4 * torch.eye(2).double(), torch.zeros(2).double())
    assert log_partition(steep, Q_MEAN, Q_COV, H) == math.inf


def test_runs_of_data_say_why_not():
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    quick = {"block": "affine", "solver": {"iterations": 2}, "stop": {"steps": 1}}
    solution = wopt.fit(data, **quick)
    said = DualBound().applies(wopt.FinishedRun(solution.prepared, solution.state))
    assert "density is known" in said


def test_the_transport_between_gaussians_is_right():
    p, q = MultivariateNormal(MEAN, COV), MultivariateNormal(Q_MEAN, Q_COV)
    assert math.isclose(gaussian_kl(MEAN, COV, Q_MEAN, Q_COV), float(kl_divergence(p, q)))
    assert math.isclose(w2_squared(MEAN, COV, MEAN, COV), 0, abs_tol=1e-12)
