"""Sliced transport against closed forms."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, NormalTarget, jko_step, moments


def step(particles, scheme, target):
    found = wopt.solve(
        particles,
        objective=wopt.build("objective", {"name": "kl", "target": target}),
        scheme=scheme,
        block=AffineBlock(particles.dim),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    return moments(found.state.train.particles)


def isotropic(n, dim, mean, deviation):
    """Return particles whose covariance is deviation^2 I exactly."""
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    z = z - z.mean(0)
    z = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T @ z / n), z.T, upper=False).T
    return wopt.Particles.start(mean + deviation * z)


@pytest.mark.parametrize("dim", [2, 3])
def test_sliced_step_is_a_jko_step_of_d_times_the_length(dim):
    """docs/theory 3.5; for a dilation it is exact for any particles, not for Gaussians only."""
    h, mean = 0.3, torch.full((dim,), 1.5, dtype=torch.float64)
    eye, zero = torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    scheme = wopt.build("scheme", {"name": "sliced_jko", "step_size": h, "frames": 4})
    target = NormalTarget(zero.tolist(), eye.tolist())
    found = step(isotropic(400, dim, mean, 0.5), scheme, target)
    expected = jko_step(mean, 0.25 * eye, zero, eye, dim * h)
    assert torch.allclose(found[0], expected[0], atol=1e-7)
    assert torch.allclose(found[1], expected[1], atol=1e-7)


def test_sliced_step_stays_at_the_minimiser():
    eye = torch.eye(2, dtype=torch.float64)
    scheme = wopt.build("scheme", {"name": "sliced_jko", "step_size": 0.3})
    start = isotropic(300, 2, torch.zeros(2, dtype=torch.float64), 1.0)
    mean, covariance = step(start, scheme, NormalTarget([0.0, 0.0], eye.tolist()))
    assert float(mean.abs().max()) < 1e-8
    assert torch.allclose(covariance, eye, atol=1e-8)


def test_sliced_needs_equal_weights(problems):
    p = problems["rotated"]
    with pytest.raises(wopt.CapabilityError, match="equal weight"):
        wopt.solve(p.nodes(), objective=p.objective(), scheme="sliced_jko", block=AffineBlock(2))
