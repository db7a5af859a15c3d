"""The objective ``kl`` against the closed form between Gaussians."""

import math

import pytest
import torch

import wopt
from wopt import Capability, Particles
from wopt.testing import AffineBlock, gaussian_kl, gaussian_nodes, moments
from wopt_jko import KL

M = torch.tensor([0.5, -1.0], dtype=torch.float64)
C = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
N = torch.tensor([0.0, 1.0], dtype=torch.float64)
S = torch.tensor([[1.0, -0.3], [-0.3, 0.5]], dtype=torch.float64)


@pytest.fixture
def kl():
    return KL(target={"name": "gaussian", "mean": N.tolist(), "covariance": S.tolist()})


def test_it_is_the_divergence_at_the_start(kl):
    expected = gaussian_kl(M, C, N, S)
    assert float(kl.energy(gaussian_nodes(M, C))) == pytest.approx(expected, rel=1e-12)
    assert expected > 1


def test_it_is_the_divergence_after_maps(kl):
    particles = gaussian_nodes(M, C)
    for seed in (1, 2):
        block = AffineBlock(2).double()
        rng = torch.Generator().manual_seed(seed)
        block.matrix.data += 0.4 * torch.randn(2, 2, dtype=torch.float64, generator=rng)
        block.shift.data += 0.4
        particles = particles.moved(*block.freeze()(particles.points))
    mean, covariance = moments(particles)
    expected = gaussian_kl(mean, covariance, N, S)
    assert float(kl.energy(particles)) == pytest.approx(float(expected), rel=1e-12)


def test_it_vanishes_at_the_target(kl):
    assert float(kl.energy(gaussian_nodes(N, S))) == pytest.approx(0, abs=1e-12)


def test_from_data_it_is_minus_the_log_likelihood(kl):
    x = gaussian_nodes(M, C)
    data = Particles(x.points, x.weights, x.log_det, None)
    law = torch.distributions.MultivariateNormal(N, S)
    expected = -float(x.weights @ law.log_prob(x.points))
    assert float(kl.energy(data)) == pytest.approx(expected, rel=1e-12)
    assert set(kl.terms(data)) == {"potential", "log_det"}


def test_its_terms_and_contributions_add_up(kl):
    x = gaussian_nodes(M, C)
    terms = kl.terms(x)
    assert set(terms) == {"potential", "log_det", "start"}
    assert float(sum(terms.values())) == pytest.approx(float(kl.energy(x)), rel=1e-12)
    entropy = math.log(2 * math.pi * math.e) + float(torch.logdet(C)) / 2
    assert float(terms["start"]) == pytest.approx(-entropy, rel=1e-12)
    assert kl.contributions(x).shape == (len(x),)


def test_it_needs_a_log_det(kl):
    assert kl.needs == Capability.POTENTIAL | Capability.LOG_DET
    with pytest.raises(wopt.CapabilityError, match="LOG_DET"):
        kl.energy(Particles(torch.zeros(3, 2).double()))


def test_its_convexity_is_the_targets(kl):
    assert kl.convexity == pytest.approx(1 / float(torch.linalg.eigvalsh(S).max()))
    mixture = {"name": "mixture", "means": [[-2.0], [2.0]]}
    assert KL(target=mixture).convexity < 0


def test_its_target_is_chosen_by_name_table_or_instance():
    for target in ("gaussian", {"name": "gaussian"}, wopt.build("target", "gaussian")):
        table = wopt.config_of(KL(target=target))
        assert table == wopt.config_of(KL())
    with pytest.raises(wopt.ConfigError, match="KL: target: no target named 'gaussian2'"):
        KL(target="gaussian2")
