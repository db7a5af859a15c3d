"""Boxes of splines follow particles."""

import pytest
import torch

import wopt
from wopt.testing import jko_step, moments


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


def test_particles_far_out_can_be_moved():
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
        block={"name": "spline", "hidden": [32]},
        solver=wopt.InnerSolver(iterations=150, batch_size=500, learning_rate=2e-2),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done"
    after, _ = moments(found.state.train.particles)
    # The exact step goes half way, from 30 to 15.
    torch.testing.assert_close(after, mean, rtol=0, atol=1.0)
