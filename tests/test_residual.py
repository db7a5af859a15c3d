"""The affine residual: the true first-order error where all laws are Gaussian."""

import pytest
import torch
from by_hand import root

import wopt
from wopt.interfaces.subproblem import Stationarity
from wopt.stein import affine_residual
from wopt.testing import NormalTarget, gaussian_nodes, jko_step

CASES = ["line", "commuting", "rotated", "five"]


def exact_step(g, h):
    """Return matrix and shift of the optimal map to the JKO step."""
    m, c = jko_step(g.m, g.c, g.n, g.s, h)
    half = root(g.c)
    inverse = torch.linalg.inv(half)
    matrix = inverse @ root(half @ c @ half) @ inverse
    return matrix, m - matrix @ g.m


def step_of(g, particles, matrix, shift):
    log_det = torch.linalg.slogdet(matrix)[1].expand(len(particles))
    return particles.moved(particles.points @ matrix.T + shift, log_det)


def true_residual(g, matrix, shift, x, h):
    """xi(y) = S^-1 (y - n) - C'^-1 (y - m') + (y - x)/h: potential, score, transport."""
    y = x @ matrix.T + shift
    m, c = matrix @ g.m + shift, matrix @ g.c @ matrix.T
    potential = torch.linalg.solve(g.s, (y - g.n).T).T
    score = -torch.linalg.solve(c, (y - m).T).T
    return potential + score + (y - x) / h


def kl_to(g):
    return wopt.build(
        "objective",
        {"name": "kl", "target": NormalTarget(mean=g.n.tolist(), covariance=g.s.tolist())},
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("h", [0.1, 1.0])
def test_an_exact_step_has_none(gaussians, case, h):
    g = gaussians[case]
    x = gaussian_nodes(g.m, g.c)
    y = step_of(g, x, *exact_step(g, h))
    assert affine_residual(Stationarity(kl_to(g), y, x.points, h)) < 1e-6


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1e-3, 0.3])
def test_an_injected_error_is_found_exactly(gaussians, case, size):
    g, h = gaussians[case], 0.7
    rng = torch.Generator().manual_seed(2)
    matrix, shift = exact_step(g, h)
    matrix = matrix + size * torch.randn(matrix.shape, dtype=torch.float64, generator=rng)
    shift = shift + size * torch.randn(shift.shape, dtype=torch.float64, generator=rng)
    x = gaussian_nodes(g.m, g.c)
    xi = true_residual(g, matrix, shift, x.points, h)
    true = float(x.mean(xi.square().sum(1)).sqrt())
    assert true > size / 10
    found = affine_residual(Stationarity(kl_to(g), step_of(g, x, matrix, shift), x.points, h))
    assert found == pytest.approx(true, rel=1e-8)


def test_staying_put_has_the_wasserstein_gradient(gaussians):
    g = gaussians["rotated"]
    x = gaussian_nodes(g.m, g.c)
    eye, zero = torch.eye(2).double(), torch.zeros(2).double()
    gradient = true_residual(g, eye, zero, x.points, 1.0)
    true = float(x.mean(gradient.square().sum(1)).sqrt())
    found = affine_residual(Stationarity(kl_to(g), x, x.points, 0.3))
    assert found == pytest.approx(true, rel=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_find_it_within_their_error(gaussians, dtype):
    g, h, n = gaussians["rotated"], 0.7, 40_000
    rng = torch.Generator().manual_seed(4)
    z = torch.randn(n, 2, dtype=torch.float64, generator=rng)
    x = wopt.Particles.start((z @ torch.linalg.cholesky(g.c).T + g.m).to(dtype))
    matrix, shift = (t.to(dtype) for t in exact_step(g, h))
    shift = shift + 0.2
    xi = true_residual(g, matrix.double(), shift.double(), x.points.double(), h)
    true = float(xi.square().sum(1).mean().sqrt())
    found = affine_residual(Stationarity(kl_to(g), step_of(g, x, matrix, shift), x.points, h))
    assert found == pytest.approx(true, rel=0.05)
    # An exact step's residual is noise of order n^-1/2.
    y = step_of(g, x, *(t.to(dtype) for t in exact_step(g, h)))
    assert affine_residual(Stationarity(kl_to(g), y, x.points, h)) < 0.05


def test_it_is_not_biased_upwards_in_many_dimensions():
    """Fitted and evaluated on the same particles it would see d (d + 1)/n of pure noise."""
    d, n = 20, 400
    x = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    kl = wopt.build("objective", "kl")
    squares = affine_residual(Stationarity(kl, wopt.Particles.start(x), x, 1.0)) ** 2
    assert squares < d * (d + 1) / n / 2
