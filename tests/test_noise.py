"""Noise on training particles, and held-out checks on a few rows: by what training sees."""

import pytest
import torch

import wopt
from wopt import InnerSolver, Particles
from wopt.interfaces.subproblem import Subproblem
from wopt.testing import AffineBlock
from wopt.train.batches import blurred_subproblem

OBJECTIVE = {"name": "kl"}


def subproblem(n, context=None):
    rng = torch.Generator().manual_seed(0)
    x = Particles.start(torch.randn(n, 2, generator=rng), context=context)
    return Subproblem(x, 2 * x.points, 0.5, wopt.build("objective", OBJECTIVE))


def test_noise_moves_particles_and_anchors_alike_and_no_conditions():
    torch.manual_seed(1)
    sub = subproblem(40_000, torch.ones(40_000, 1))
    found = blurred_subproblem(sub, 0.3)
    moved = found.particles.points - sub.particles.points
    torch.testing.assert_close(found.anchor - sub.anchor, moved, atol=1e-6, rtol=0)
    # A standard deviation of 80,000 draws is known to 0.3/400; five of these.
    assert float(moved.std()) == pytest.approx(0.3, abs=5 * 0.3 / 400)
    assert torch.equal(found.particles.context, torch.ones(40_000, 1))


def test_no_noise_is_no_draw():
    sub = subproblem(10)
    before = torch.get_rng_state()
    assert blurred_subproblem(sub, 0.0) is sub
    assert torch.equal(torch.get_rng_state(), before)


def affine_fit(noise):
    """Fit one affine step of h = 1e6 to a standard normal's rows: maximum likelihood."""
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(2)).double()
    x = (x - x.mean()) / x.std()
    solver = InnerSolver(iterations=400, batch_size=4000, learning_rate=0.02, noise=noise)
    found = wopt.solve(
        Particles.start(x), scheme={"name": "jko", "step_size": 1e6}, block="affine",
        solver=solver, stop=wopt.Stop(steps=1), guard=wopt.Guard(standard_errors=1e9),
    )  # fmt: skip
    return float(found.state.train.particles.points.std())


def test_noise_widens_what_is_learnt():
    """Rows of variance 1 look like 1 + s^2, and are carried to a normal law of that much less."""
    assert affine_fit(0.0) == pytest.approx(1.0, abs=0.01)
    assert affine_fit(0.5) == pytest.approx(1.25**-0.5, abs=0.02)


def test_held_out_checks_look_at_the_first_rows():
    seen = []

    class Watched(AffineBlock):
        def forward(self, x):
            seen.append((len(x), self.training))
            return super().forward(x)

    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(3))
    solver = InnerSolver(
        iterations=4, batch_size=50, check_every=2, check_rows=30, patience=9, ema=0.0
    )
    wopt.solve(
        Particles.start(x), valid=Particles.start(x[:200]), block=Watched(2), solver=solver,
        stop=wopt.Stop(steps=1),
    )  # fmt: skip
    assert [n for n, training in seen if not training][:3] == [30, 30, 30]
