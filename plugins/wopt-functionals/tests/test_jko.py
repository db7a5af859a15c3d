"""Exact JKO steps outside the Gaussian world (docs/theory 2.2), found by ``wopt.solve``."""

import math

import numpy as np
import pytest
import torch

import wopt
from wopt import Particles
from wopt.testing import AffineBlock, NormalTarget
from wopt_functionals import EnergyDistance, Interaction, Internal, Potential

H = 0.3


def skewed(n, dim):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return Particles(z + z.square() / 3)


def test_potential_of_a_quadratic_is_its_proximal_map(step):
    p, a = skewed(40, 2), torch.tensor([0.5, 2.0]).double()
    target = NormalTarget([0.0, 0.0], torch.diag(1 / a).tolist())
    y = step(Potential(target), p, H).points
    torch.testing.assert_close(y, p.points / (1 + H * a), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("delta", "tolerance"), [(0.05, 1e-6), (0.0, 0.02)])
def test_potential_of_the_absolute_value_is_soft_thresholding(step, delta, tolerance):
    """Huber's function, |x| - delta/2 beyond delta; at delta = 0 L-BFGS meets a kink."""

    def huber(x):
        size = x.abs()
        inside = size.square() / (2 * delta) if delta else size
        return torch.where(size > delta, size - delta / 2, inside).sum(1)

    p = skewed(40, 2)
    x = p.points
    y = step(Potential(wopt.build("target", {"name": "potential", "function": huber})), p, H).points
    exact = torch.where(x.abs() <= H + delta, x * delta / (H + delta), x - H * x.sign())
    assert 0 < int((exact.abs() <= delta).sum()) < exact.numel()
    torch.testing.assert_close(y, exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("estimator", ["v", "u"])
def test_quadratic_interaction_contracts_about_the_mean(step, estimator):
    p, a = skewed(40, 2), 1.5
    y = step(Interaction(strength=a, estimator=estimator), p, H).points
    m = p.points.mean(0)
    rate = a if estimator == "v" else a * 40 / 39
    torch.testing.assert_close(y, m + (p.points - m) / (1 + H * rate), rtol=0, atol=1e-7)


def test_energy_distance_decouples_by_quantile(step, quantiles):
    """For q uniform on [0, 1]:  X+ = (X + 4 h s)/(1 + 4 h) at every level s."""
    n, m = 20, 4000
    s = (torch.arange(n).double() + 0.5) / n
    x = 0.1 + 0.5 * s + 0.2 * s.square()  # so that X+ stays within [0, 1]
    g = EnergyDistance(quantiles(lambda u: u), samples=m)
    y = step(g, Particles(x[:, None]), H).points[:, 0]
    exact = (x + 4 * H * s) / (1 + 4 * H)
    assert float((y - exact).abs().max()) < 2 / m


def barenblatt(dim, size=12):
    """Return nodes of B = (C - c |x|^2)_+ (m = 2), exact for polynomials, with c and K = 4 c."""
    z, w = np.polynomial.legendre.leggauss(size)
    c = 0.7
    if dim == 1:
        # mass: (4/3) C^(3/2) / c^(1/2) = 1
        big = (0.75 * math.sqrt(c)) ** (2 / 3)
        edge = math.sqrt(big / c)
        x, w = edge * z[:, None], edge * w
    else:
        big = math.sqrt(2 * c / math.pi)  # mass: pi C^2 / (2 c) = 1
        edge = math.sqrt(big / c)
        r, w = edge * (z + 1) / 2, edge / 2 * w
        angle = 2 * np.pi * np.arange(size) / size
        x = np.stack([np.outer(r, np.cos(angle)), np.outer(r, np.sin(angle))], -1).reshape(-1, 2)
        w = np.repeat(w * r, size) * 2 * np.pi / size
    x, w = torch.from_numpy(x), torch.from_numpy(w)
    density = big - c * x.square().sum(1)
    w = w * density
    assert float(w.sum()) == pytest.approx(1, abs=1e-12)
    return Particles.start(x, w / w.sum(), density.log()), 4 * c


def flow(p, objective, h, steps):
    found = wopt.solve(
        p,
        objective=objective,
        scheme={"name": "jko", "step_size": h},
        block=AffineBlock(p.dim),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=steps),
    )
    assert found.status == "done", found.reason
    return found.flow.blocks


@pytest.mark.parametrize(("dim", "kappa"), [(1, 0.0), (2, 0.0), (1, 0.8), (2, 0.8)])
def test_porous_medium_dilates_barenblatts_profile(dim, kappa):
    """(1 + h kappa) s - s_n = h K s^(-d (m-1) - 1),  K = 2 c m/(m - 1)."""
    p, k = barenblatt(dim)
    objective = wopt.Sum([(1.0, Internal(m=2.0))])
    if kappa:
        ball = NormalTarget([0.0] * dim, (torch.eye(dim) / kappa).tolist())
        objective = objective + Potential(ball)
    scale = 1.0
    for block in flow(p, objective, H, 2):
        low, high = 0.0, 10.0
        for _ in range(200):
            s = (low + high) / 2
            over = (1 + H * kappa) * s - scale - H * k * s ** (-dim - 1)
            low, high = (low, s) if over > 0 else (s, high)
        exact = s / scale * torch.eye(dim).double()
        torch.testing.assert_close(block.matrix, exact, rtol=0, atol=1e-7)
        scale = s
