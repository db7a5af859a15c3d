"""Entropic and sliced transport against closed forms."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, GaussianTarget, jko_step, moments
from wopt_schemes.sinkhorn import sinkhorn_shares


def gaussian_grid(mean, deviation, count=161, half=7.0):
    """Return weighted points of N(mean, deviation^2) by the trapezoidal rule."""
    z = torch.linspace(-half, half, count, dtype=torch.float64)
    weights = torch.exp(-z.square() / 2)
    return wopt.Particles.start((mean + deviation * z)[:, None], weights / weights.sum())


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


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
@pytest.mark.parametrize("variance", [0.5, 1.3, 2.0])
def test_entropic_step_equals_the_closed_form(epsilon, variance):
    """docs/theory.md 3.5; the trapezoidal rule is exact to rounding for these smooth plans."""
    h, s, m, n = 0.5, 1.3, 1.0, -0.5
    start = gaussian_grid(m, variance**0.5)
    scheme = wopt.build("scheme", {"name": "entropic_jko", "step_size": h, "epsilon": epsilon})
    mean, covariance = step(start, scheme, GaussianTarget([n], [[s]]))
    a = 1 + h / s
    b = 2 * a * h + variance - a * epsilon / 2
    v = (b + (b**2 - 4 * a**2 * (h**2 - epsilon * h / 2)) ** 0.5) / (2 * a**2)
    assert float(mean) == pytest.approx((m + h * n / s) / a, abs=1e-6)
    assert float(covariance) == pytest.approx(v, abs=1e-6)


def test_entropic_fixed_point_is_smaller_than_the_minimiser():
    """docs/theory.md 3.5: eps = 0.1, h = 0.5, s = 1.3 leads to 1.236."""
    scheme = wopt.build("scheme", {"name": "entropic_jko", "step_size": 0.5, "epsilon": 0.1})
    start = gaussian_grid(0.0, 1.2360**0.5)
    _, covariance = step(start, scheme, GaussianTarget([0.0], [[1.3]]))
    assert float(covariance) == pytest.approx(1.2360, abs=1e-3)


def test_sinkhorn_gradient_is_the_derivative_of_the_value():
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(12, 2, dtype=torch.float64, generator=draw) for _ in "xy")
    y.requires_grad_()

    def value(points):
        return sinkhorn_shares(x, wopt.Particles(points), 0.3).mean()

    (slope,) = torch.autograd.grad(value(y), y)
    with torch.no_grad():
        e = torch.zeros_like(y)
        e[3, 1] = 1e-4
        numeric = (value(y + e) - value(y - e)) / 2e-4
    assert float(slope[3, 1]) == pytest.approx(float(numeric), abs=1e-7)


def isotropic(n, dim, mean, deviation):
    """Return particles whose covariance is deviation^2 I exactly."""
    draw = torch.Generator().manual_seed(1)
    z = torch.randn(n, dim, dtype=torch.float64, generator=draw)
    z = z - z.mean(0)
    z = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T @ z / n), z.T, upper=False).T
    return wopt.Particles.start(mean + deviation * z)


@pytest.mark.parametrize("dim", [2, 3])
def test_sliced_step_is_a_jko_step_of_d_times_the_length(dim):
    """docs/theory.md 3.5; for a dilation it is exact for any particles, not for Gaussians only."""
    h, mean = 0.3, torch.full((dim,), 1.5, dtype=torch.float64)
    eye, zero = torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    scheme = wopt.build("scheme", {"name": "sliced_jko", "step_size": h, "frames": 4})
    target = GaussianTarget(zero.tolist(), eye.tolist())
    found = step(isotropic(400, dim, mean, 0.5), scheme, target)
    expected = jko_step(mean, 0.25 * eye, zero, eye, dim * h)
    assert torch.allclose(found[0], expected[0], atol=1e-7)
    assert torch.allclose(found[1], expected[1], atol=1e-7)


def test_sliced_step_stays_at_the_minimiser():
    eye = torch.eye(2, dtype=torch.float64)
    scheme = wopt.build("scheme", {"name": "sliced_jko", "step_size": 0.3})
    start = isotropic(300, 2, torch.zeros(2, dtype=torch.float64), 1.0)
    mean, covariance = step(start, scheme, GaussianTarget([0.0, 0.0], eye.tolist()))
    assert float(mean.abs().max()) < 1e-8
    assert torch.allclose(covariance, eye, atol=1e-8)


def test_sliced_needs_equal_weights(problems):
    p = problems["turned"]
    with pytest.raises(wopt.CapabilityError, match="equal weight"):
        wopt.solve(p.nodes(), objective=p.objective(), scheme="sliced_jko", block=AffineBlock(2))
