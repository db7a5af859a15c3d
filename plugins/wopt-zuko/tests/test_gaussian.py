"""JKO steps between Gaussians: the trained maps meet the closed form; boxes follow particles."""

import pytest
import torch

import wopt
from wopt.testing import GaussianTarget, jko_step, moments

OPTIONS = {
    "coupling": {"name": "coupling", "hidden": [32]},
    "maf": {"name": "maf", "hidden": [32]},
    "spline": {"name": "spline", "hidden": [32]},
    "spline-coupling": {"name": "spline", "hidden": [32], "passes": 2, "transforms": 3},
    "zuko": {"name": "zuko", "hidden": [32], "pieces": 24, "transforms": 3},
}
H = 1.0


@pytest.fixture
def problem():
    """Return samples of a Gaussian, the target's moments, and those after an exact JKO step.

    The step is that of the samples' own moments, so that no sampling error of theirs is left.
    """
    rng = torch.Generator().manual_seed(4)
    factor = torch.tensor([[1.5, 0.0], [0.6, 0.7]], dtype=torch.float64)
    x = torch.randn(6000, 2, generator=rng, dtype=torch.float64) @ factor.T
    x = x + torch.tensor([0.8, -0.4])
    n = torch.tensor([-0.3, 0.2], dtype=torch.float64)
    s = torch.tensor([[1.0, -0.3], [-0.3, 0.6]], dtype=torch.float64)
    return x, n, s, jko_step(x.mean(0), torch.cov(x.T, correction=0), n, s, H)


SLOW = ("spline", "zuko")
"""Left to `make test-slow`: `maf` has the order of the first, `spline-coupling` its functions."""


@pytest.mark.parametrize(
    "name", [n if n not in SLOW else pytest.param(n, marks=pytest.mark.slow) for n in OPTIONS]
)
def test_a_trained_step_meets_the_closed_form(name, problem):
    x, n, s, (mean, covariance) = problem
    found = wopt.solve(
        wopt.Particles.start(x[:4000]),
        valid=wopt.Particles.start(x[4000:]),
        objective={"name": "kl", "target": GaussianTarget(n, s)},
        scheme={"name": "jko", "step_size": H},
        block=OPTIONS[name],
        solver=wopt.InnerSolver(iterations=200, batch_size=500, learning_rate=2e-2),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    y = found.flow(x)[0].detach()
    # The step moves the mean by 0.75 and the variances by 1.0; 0.03 is the trained maps' noise.
    torch.testing.assert_close(y.mean(0), mean, rtol=0, atol=0.03)
    torch.testing.assert_close(torch.cov(y.T, correction=0), covariance, rtol=0, atol=0.03)
    assert found.history[0].likelihood_error == 0
    assert found.history[0].inversion_error < 1e-6


@pytest.mark.parametrize(
    ("scheme", "name"), [("midpoint", "coupling"), ("explicit", "spline"), ("bdf2", "coupling")]
)
def test_other_schemes_take_them(scheme, name, problem):
    x, n, s, _ = problem
    found = wopt.solve(
        wopt.Particles.start(x[:1000]),
        valid=wopt.Particles.start(x[1000:2000]),
        objective={"name": "kl", "target": GaussianTarget(n, s)},
        scheme={"name": scheme, "step_size": 0.1},
        block=OPTIONS[name] | {"transforms": 2},
        solver=wopt.InnerSolver(iterations=40, batch_size=200, learning_rate=1e-2),
        stop=wopt.Stop(steps=2),
    )
    assert found.status == "done", found.reason
    assert found.history[-1].energy < found.history[0].energy


def test_a_box_follows_the_particles():
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    block = wopt.build("block", "spline").build(dim=2)
    (first, second) = block._boxes()
    block.initialise(0.1 * x)
    assert float(first.bound) == 5
    block.initialise(20 * x)
    # 1.5 times 20 times the normal's 99.9 % quantile, 3.29, which 4000 points meet to 5 %.
    assert float(first.bound) == float(second.bound) == pytest.approx(1.5 * 20 * 3.29, rel=0.1)
    given = wopt.build("block", {"name": "spline", "bound": 3.0}).build(dim=2)
    given.initialise(20 * x)
    assert [float(box.bound) for box in given._boxes()] == [3, 3]


def test_particles_far_out_can_be_moved(problem):
    """A start at thirty deviations: with zuko's own box, [-5, 5], nothing would move."""
    rng = torch.Generator().manual_seed(4)
    x = torch.randn(2000, 2, generator=rng, dtype=torch.float64) + 30
    mean, _ = jko_step(
        x.mean(0), torch.cov(x.T, correction=0), 0 * x[0], torch.eye(2).double(), 1.0
    )
    found = wopt.solve(
        wopt.Particles.start(x),
        objective="kl",
        scheme={"name": "jko", "step_size": 1.0},
        block=OPTIONS["spline"],
        solver=wopt.InnerSolver(iterations=150, batch_size=500, learning_rate=2e-2),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done"
    after, _ = moments(found.state.train.particles)
    # The exact step goes half way, from 30 to 15.
    torch.testing.assert_close(after, mean, rtol=0, atol=1.0)
