"""Fisher information: closed forms of Gaussians, quadrature of a mixture, its flow."""

import math

import pytest
import torch

import wopt
from wopt.interfaces.objective import wasserstein_gradient
from wopt.testing import AffineBlock, NormalTarget, gaussian_nodes, moments
from wopt_functionals import FisherInformation

MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("features", [0, 20])
def test_of_a_gaussian_it_is_the_trace_of_the_precision(features):
    nodes = gaussian_nodes(MEAN, COVARIANCE, 30)
    j = FisherInformation(features=features, ridge=1e-10)
    precision = torch.linalg.inv(COVARIANCE)
    assert float(j.energy(nodes)) == pytest.approx(float(torch.trace(precision)), rel=1e-6)
    expected = -2 * (nodes.points - MEAN) @ precision @ precision
    found = wasserstein_gradient(FisherInformation(features=0, ridge=1e-12), nodes)
    assert torch.allclose(found, expected, atol=1e-8)


def test_relative_to_a_gaussian():
    target = NormalTarget([0.0, 0.5], [[1.0, 0.2], [0.2, 0.8]])
    nodes = gaussian_nodes(MEAN, COVARIANCE)
    s, c = torch.linalg.inv(target.covariance), torch.linalg.inv(COVARIANCE)
    slope, shift = s - c, s @ (MEAN - target.mean)
    exact = float(torch.trace(slope @ COVARIANCE @ slope) + shift @ shift)
    found = FisherInformation(target, features=0, ridge=1e-12).energy(nodes)
    assert float(found) == pytest.approx(exact, rel=1e-9)
    at_target = gaussian_nodes(target.mean, target.covariance)
    found = FisherInformation(target, features=0, ridge=1e-12).energy(at_target)
    assert float(found) == pytest.approx(0, abs=1e-12)


def mixture(centre, x):
    parts = torch.stack([-(x - s * centre).square() / 2 for s in (-1, 1)])
    return parts.logsumexp(0) - math.log(2) - math.log(2 * math.pi) / 2


def test_of_a_mixture_it_is_below_the_truth_and_nearer_with_features():
    x = torch.linspace(-9, 9, 4001, dtype=torch.float64, requires_grad=True)
    log_density = mixture(1.5, x)
    (score,) = torch.autograd.grad(log_density.sum(), x)
    weights = log_density.detach().exp()
    weights = weights / weights.sum()
    exact = float(weights @ score.square())
    nodes = wopt.Particles(x.detach()[:, None], weights)
    found = [float(FisherInformation(features=k, ridge=1e-10).energy(nodes)) for k in (0, 10, 60)]
    assert found[0] == pytest.approx(1 / (1 + 1.5**2), rel=1e-6)  # affine fields: 1 / variance
    assert found[0] < found[1] < exact * (1 + 1e-9)
    assert found[2] == pytest.approx(exact, rel=1e-3)
    assert found[2] < exact * (1 + 1e-9)


def test_particles_add_about_the_number_of_coefficients_over_n():
    n, features, values = 2000, 20, []
    for seed in range(40):
        rng = torch.Generator().manual_seed(seed)
        x = torch.randn(n, 2, dtype=torch.float64, generator=rng)
        values.append(
            float(FisherInformation(features=features, ridge=1e-9).energy(wopt.Particles(x)))
        )
    excess = torch.tensor(values) - 2.0
    error = float(excess.std()) / math.sqrt(len(values))
    # What fits the noise is of the order of the coefficients over n, whatever their slopes.
    assert float(excess.mean()) > 2 * error
    assert float(excess.mean()) < 5 * 2 * (1 + 2 + features) / n


def test_its_jko_step_keeps_gaussians_and_solves_the_scalar_equation():
    """On a line sigma' minimises 1/sigma^2 + (sigma - s0)^2/2h: -2/sigma^3 + (sigma - s0)/h = 0."""
    h, s0 = 0.5, 0.8
    one = torch.ones(1).double()
    found = wopt.solve(
        gaussian_nodes(0 * one, s0**2 * torch.eye(1).double()),
        objective=FisherInformation(features=0, ridge=1e-13),
        scheme={"name": "jko", "step_size": h},
        block=AffineBlock(1),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    sigma = float(moments(found.state.train.particles)[1]) ** 0.5
    assert -2 / sigma**3 + (sigma - s0) / h == pytest.approx(0, abs=1e-5)
