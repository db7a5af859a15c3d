"""The dual form of f-divergences, from samples, against closed forms and quadrature."""

import math

import pytest
import torch

import wopt
from wopt.testing import NormalTarget, gaussian_kl, gaussian_nodes
from wopt_functionals import DualFDivergence, FDivergence
from wopt_functionals.samples.critics import DUALS
from wopt_functionals.samples.newton import maximise

M = torch.tensor([0.5, -0.3]).double()
C = torch.tensor([[1.0, 0.3], [0.3, 0.8]]).double()


def test_the_dual_form_finds_a_kl_whose_log_ratio_is_among_the_critics():
    target = NormalTarget([0.2, 0.4], [[1.0, 0.3], [0.3, 0.8]])
    exact = gaussian_kl(M, C, target.mean, target.covariance)
    z = torch.randn(20_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = wopt.Particles(M + z @ torch.linalg.cholesky(C).T)
    g = DualFDivergence(target, features=1, samples=20_000)
    assert float(g.energy(p)) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("divergence", ["kl", "reverse_kl", "chi2", "hellinger", "jensen_shannon"])
def test_the_dual_form_stays_below_and_comes_near(divergence):
    c = 0.5 * torch.eye(2).double()
    z = torch.randn(8000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = wopt.Particles(math.sqrt(0.5) * z)
    target = NormalTarget([0.3, 0.0], [[0.8, 0.0], [0.0, 0.7]])
    nodes = gaussian_nodes(torch.zeros(2).double(), c, 30)
    exact = float(FDivergence(target, f=divergence).energy(nodes))
    g = DualFDivergence(target, divergence=divergence, bandwidth=2.0, samples=8000)
    assert 0.6 * exact < float(g.energy(x)) < 1.15 * exact


@pytest.mark.parametrize("name", DUALS)
def test_duals_are_concave_and_exact_for_two_points(name):
    """Over two points any ratio is a critic's: the maximum is the divergence itself."""
    p, q = torch.tensor([[0.3, 0.7], [0.6, 0.4]], dtype=torch.float64)
    f = {
        "kl": lambda s: s * s.log(),
        "reverse_kl": lambda s: -s.log(),
        "chi2": lambda s: (s - 1).square(),
        "hellinger": lambda s: (s.sqrt() - 1).square(),
        "jensen_shannon": lambda s: (s * (2 * s / (1 + s)).log() + (2 / (1 + s)).log()) / 2,
    }[name]
    eye = torch.eye(2).double()
    theta = maximise(DUALS[name], eye, p, eye, q, ridge=1e-12)
    found = p @ DUALS[name].a(theta) - q @ DUALS[name].b(theta)
    assert float(found) == pytest.approx(float(q @ f(p / q)), abs=1e-10)
