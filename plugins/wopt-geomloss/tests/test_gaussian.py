"""Closed forms between Gaussians (docs/theory 2.1), without and with sampling noise."""

import math

import pytest
import torch
from by_hand import root, w2_squared

import wopt
from wopt.interfaces.objective import wasserstein_gradient
from wopt.testing import AffineBlock, NormalTarget, moments
from wopt_geomloss import Barycenter, Sinkhorn, Wasserstein

M, S = torch.tensor([0.5, -0.3]).double(), torch.tensor([[1.0, 0.3], [0.3, 0.8]]).double()
N, T = torch.tensor([-0.2, 0.4]).double(), torch.tensor([[0.6, -0.2], [-0.2, 0.9]]).double()


def monge(s, t):
    """Return the matrix of the optimal map from N(0, s) to N(0, t)."""
    half = root(s)
    inverse = torch.linalg.inv(half)
    return inverse @ root(half @ t @ half) @ inverse


def entropic(m, s, n, t, epsilon):
    """Return the Sinkhorn divergence for |x - y|^2 (Janati et al. 2020; docs/theory 2.1)."""

    def psi(r):
        tau = ((epsilon**2 + 16 * r**2).sqrt() - epsilon) / (4 * r)
        return float((-2 * r * tau - epsilon / 2 * torch.log1p(-(tau**2))).sum())

    own = psi(torch.linalg.eigvalsh(s)) + psi(torch.linalg.eigvalsh(t))
    cross = psi(torch.linalg.svdvals(root(s) @ root(t)))
    return float((m - n).square().sum()) + cross - own / 2


def mean_energy(objective, n, repeats):
    """Return the mean energy of n fresh particles and fresh samples, and its standard error."""
    values = []
    for seed in range(repeats):
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(n, 2, dtype=torch.float64, generator=rng)
        values.append(objective.at(seed).energy(wopt.Particles(M + z @ torch.linalg.cholesky(S).T)))
    values = torch.stack(values)
    return float(values.mean()), float(values.std()) / math.sqrt(repeats)


def test_the_formula_of_the_divergence_has_the_right_limits():
    assert entropic(M, S, N, T, 1e-6) == pytest.approx(float(w2_squared(M, S, N, T)), rel=1e-5)
    assert entropic(M, S, N, T, 1e6) == pytest.approx(float((M - N).square().sum()), rel=1e-5)
    assert entropic(M, S, M, S, 0.7) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_sinkhorn_without_noise(tools, epsilon):
    """Products of quantiles: no noise, but coarse tails."""
    p = wopt.Particles(tools.grid(M, S, 17))
    g = Sinkhorn(tools.fixed(tools.grid(N, T, 17)), epsilon=epsilon, tolerance=1e-6, samples=289)
    exact = entropic(M, S, N, T, epsilon)
    assert float(g.energy(p)) == pytest.approx(exact, rel=5e-3)
    # The full gradient is 2 (b_rho - b_q), affine between Gaussians: compare that of the means.
    mean = wasserstein_gradient(g, p).mean(0)
    torch.testing.assert_close(mean, 2 * (M - N), rtol=0, atol=1e-5)


def test_sinkhorn_of_samples():
    """The bias is about 10/n here; extrapolated in 1/n the mean is within its error, 5 %."""
    target = NormalTarget(N.tolist(), T.tolist())
    few, many = (
        mean_energy(Sinkhorn(target, epsilon=1.0, tolerance=1e-3, samples=n), n, repeats)
        for n, repeats in ((60, 60), (180, 40))
    )
    exact = entropic(M, S, N, T, 1.0)
    error = math.hypot(3 * many[1], few[1]) / 2
    assert abs((3 * many[0] - few[0]) / 2 - exact) < 3 * error
    assert error < 0.06 * exact
    assert few[0] - exact > 2 * few[1]


def test_wasserstein_without_noise(tools):
    """The particles are the samples' preimages under the optimal map, so the plan is known."""
    x = tools.grid(M, S, 20)
    matrix = monge(S, T)
    g = Wasserstein(tools.fixed(N + (x - M) @ matrix.T), samples=400)
    p = wopt.Particles(x)
    assert float(g.energy(p)) == pytest.approx(float(w2_squared(M, S, N, T)) / 2, rel=1e-9)
    torch.testing.assert_close(
        wasserstein_gradient(g, p), x - (N + (x - M) @ matrix.T), rtol=0, atol=1e-9
    )


def test_wasserstein_of_samples_is_biased_upwards_and_less_with_more():
    target = NormalTarget(N.tolist(), T.tolist())
    exact = float(w2_squared(M, S, N, T)) / 2
    few, error = mean_energy(Wasserstein(target, samples=60), 60, 40)
    many, _ = mean_energy(Wasserstein(target, samples=400), 400, 6)
    assert few - exact > 3 * error
    assert abs(many - exact) < (few - exact) / 2


def barycenter_covariance(covariances, weights):
    """Return the fixed point  C = sum_i w_i (C^1/2 S_i C^1/2)^1/2  (Agueh, Carlier 2011)."""
    c = torch.eye(2).double()
    for _ in range(200):
        half = root(c)
        inverse = torch.linalg.inv(half)
        mean = sum(w * root(half @ s @ half) for w, s in zip(weights, covariances, strict=True))
        c = inverse @ mean @ mean @ inverse
    return c


def test_barycenter_of_gaussians(tools):
    """At the barycentre the gradient vanishes, and the energy is the Wasserstein variance."""
    weights, means, covariances = (0.25, 0.75), (M, N), (S, T)
    c = barycenter_covariance(covariances, weights)
    mean = 0.25 * M + 0.75 * N
    x = tools.grid(mean, c, 16)
    targets = [
        {"target": tools.fixed(m + (x - mean) @ monge(c, s).T), "weight": 8 * w}
        for w, m, s in zip(weights, means, covariances, strict=True)
    ]
    g, p = Barycenter(targets, samples=256), wopt.Particles(x)
    assert float(wasserstein_gradient(g, p).abs().max()) < 1e-9
    laws = zip(weights, means, covariances, strict=True)
    exact = float(sum(w * w2_squared(mean, c, m, s) / 2 for w, m, s in laws))
    assert float(g.energy(p)) == pytest.approx(exact, rel=1e-9)
    away = wopt.Particles(x + 0.1 * torch.sin(3 * x.roll(1, 1)))
    assert float(g.energy(away)) > exact


def test_the_affine_flow_to_the_barycenter_finds_its_law(tools):
    """jko by affine maps, from a Gaussian, reaches the mean and covariance."""
    weights, means, covariances = (0.25, 0.75), (M, N), (S, T)
    targets = [
        {"target": tools.fixed(tools.grid(m, s, 10)), "weight": w}
        for w, m, s in zip(weights, means, covariances, strict=True)
    ]
    found = wopt.solve(
        wopt.Particles.start(tools.grid(torch.zeros(2).double(), torch.eye(2).double(), 10)),
        objective=Barycenter(targets, samples=100),
        scheme={"name": "jko", "step_size": 30.0},
        block=AffineBlock(2),
        solver=wopt.InnerSolver(optimiser="lbfgs", iterations=20),
        stop=wopt.Stop(steps=2),
    )
    assert found.status == "done", found.reason
    mean, covariance = moments(found.state.train.particles)
    torch.testing.assert_close(mean, 0.25 * M + 0.75 * N, rtol=0, atol=5e-3)
    exact = barycenter_covariance(covariances, weights)
    torch.testing.assert_close(covariance, exact, rtol=0, atol=0.02)
