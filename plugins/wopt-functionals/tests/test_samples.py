"""Distances to samples against closed forms for Gaussians (docs/theory 2.1)."""

import math

import pytest
import torch

import wopt
from wopt.testing import NormalTarget
from wopt_functionals import MMD, EnergyDistance, SlicedWasserstein
from wopt_functionals.samples import mmd

M, S, N, T = 0.7, 1.2, -0.3, 0.8  # N(M, S^2) against N(N, T^2)
TARGET = NormalTarget([-0.2, 0.4], [[0.6, 0.2], [0.2, 0.9]])
LAW = torch.distributions.MultivariateNormal(
    torch.tensor([0.5, -0.3]).double(), torch.tensor([[1.0, 0.3], [0.3, 0.8]]).double()
)


def draw(seed, n):
    z = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return wopt.Particles(LAW.loc + z @ LAW.scale_tril.T)


def within_errors(objective, exact, n=400, repeats=40):
    """Check the mean over fresh particles and fresh samples against three standard errors."""
    values = []
    for seed in range(repeats):
        values.append(objective.at(seed).energy(draw(seed, n)))
    values = torch.stack(values)
    error = float(values.std()) / math.sqrt(repeats)
    assert abs(float(values.mean()) - exact) < 3 * error
    assert error < 0.1 * exact


def mean_kernel(gap, covariance, h):
    """Return E k(X, Y) of the Gaussian kernel for X - Y ~ N(gap, covariance)."""
    inner = torch.eye(len(gap)).double() + covariance / h**2
    return torch.linalg.det(inner) ** -0.5 * torch.exp(
        -gap @ torch.linalg.solve(inner, gap) / (2 * h**2)
    )


def mean_distance(mean, scale):
    """Return E|Z| of Z ~ N(mean, scale^2)."""
    at = mean / scale
    return scale * math.sqrt(2 / math.pi) * math.exp(-(at**2) / 2) + mean * math.erf(
        at / math.sqrt(2)
    )


def energy_distance():
    cross = mean_distance(M - N, math.hypot(S, T))
    return 2 * cross - mean_distance(0, math.sqrt(2) * S) - mean_distance(0, math.sqrt(2) * T)


@pytest.fixture(scope="module")
def line(quantiles, normal_quantile):
    """Return particles and a target on the line without sampling noise."""
    x = quantiles(normal_quantile(M, S)).sample(2000, 1, torch.Generator())
    return wopt.Particles(x), quantiles(normal_quantile(N, T))


@pytest.mark.parametrize("estimator", ["v", "u"])
def test_gaussian_mmd_on_the_line(line, estimator):
    h, one = 0.9, torch.ones(1, 1).double()
    gaps = [torch.tensor([g]).double() for g in (0.0, M - N, 0.0)]
    kinds = zip(gaps, (2 * S**2, S**2 + T**2, 2 * T**2), strict=True)
    own, cross, theirs = (mean_kernel(gap, v * one, h) for gap, v in kinds)
    exact = float((own - 2 * cross + theirs) / 2)
    p, target = line
    found = MMD(target, bandwidth=h, estimator=estimator, samples=2000).energy(p)
    assert float(found) == pytest.approx(exact, abs=1e-4 if estimator == "v" else 1e-3)


def test_energy_distance_on_the_line(line):
    p, target = line
    found = float(EnergyDistance(target, samples=2000).energy(p))
    assert found == pytest.approx(energy_distance(), abs=1e-3)
    by_mmd = MMD(target, kernel="energy", samples=2000).energy(p)
    assert 2 * float(by_mmd) == pytest.approx(found, abs=1e-10)


def test_sorting_agrees_with_pairs_for_weights_and_ties():
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(5, (30, 1), generator=rng).double()
    w = torch.rand(30, dtype=torch.float64, generator=rng)
    line = NormalTarget([1.0], [[2.0]])
    found = []
    for dim in (1, 2):  # a second, constant, coordinate forces the sum over pairs

        class Flat(NormalTarget):
            def sample(self, n, dim, generator):
                y = line.sample(n, 1, generator)
                return torch.cat([y, torch.zeros_like(y)], 1)[:, :dim]

        target = Flat([0.0], [[1.0]])
        points = torch.cat([x, torch.zeros_like(x)], 1)[:, :dim].requires_grad_()
        p = wopt.Particles(points, w / w.sum())
        g = EnergyDistance(target, samples=50)
        (slope,) = torch.autograd.grad(g.energy(p), points)
        found.append((g.energy(p), slope[:, 0], g.contributions(p)))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_sliced_wasserstein_on_the_line(line):
    p, target = line
    found = float(SlicedWasserstein(target, projections=3, samples=1500).energy(p))
    assert found == pytest.approx(((M - N) ** 2 + (S - T) ** 2) / 2, abs=2e-3)


def test_sliced_wasserstein_with_weights_is_that_of_repeated_particles():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(10, 2, dtype=torch.float64, generator=rng)
    count = torch.randint(1, 5, (10,), generator=rng)
    g = SlicedWasserstein(TARGET, samples=37)
    weighted = g.energy(wopt.Particles(x, count / count.sum().double()))
    repeated = g.energy(wopt.Particles(x.repeat_interleave(count, 0)))
    torch.testing.assert_close(weighted, repeated)


def test_sliced_wasserstein_in_the_plane():
    angle = torch.arange(0, math.pi, math.pi / 1000).double()
    theta = torch.stack([angle.cos(), angle.sin()], 1)
    spread = [
        ((theta @ c) * theta).sum(1).sqrt() for c in (LAW.covariance_matrix, TARGET.covariance)
    ]
    exact = (theta @ (LAW.loc - TARGET.mean)).square() + (spread[0] - spread[1]).square()
    within_errors(
        SlicedWasserstein(TARGET, projections=50, samples=1000), float(exact.mean()) / 2, n=1000
    )


@pytest.mark.parametrize("features", [None, 200])
def test_gaussian_mmd_in_the_plane(features):
    h, c, s = 0.9, LAW.covariance_matrix, TARGET.covariance
    gap = LAW.loc - TARGET.mean
    own, theirs = mean_kernel(0 * gap, 2 * c, h), mean_kernel(0 * gap, 2 * s, h)
    exact = float((own - 2 * mean_kernel(gap, c + s, h) + theirs) / 2)
    if features:  # the v estimate: each law's own term is too large by (k(0) - E k)/n
        exact += float((1 - own) + (1 - theirs)) / 400 / 2
    estimator = "v" if features else "u"
    within_errors(
        MMD(TARGET, bandwidth=h, estimator=estimator, samples=400, features=features), exact
    )


@pytest.mark.parametrize("kernel", ["gaussian", "laplace", "inverse_multiquadric"])
def test_random_features_tend_to_the_kernel(kernel):
    p = draw(0, 60)
    options = {"kernel": kernel, "bandwidth": 1.3, "samples": 60}
    exact = float(MMD(TARGET, **options).energy(p))
    random = MMD(TARGET, features=200, **options)
    values = []
    points = MMD(TARGET, **options).draws.points(p.points)
    for seed in range(60):
        drawn = random.at(100 + seed)
        # the same samples of the target as the exact kernel had
        drawn.draws.remember("points", p.points, lambda: points)
        values.append(drawn.energy(p))
    values = torch.stack(values)
    assert abs(float(values.mean()) - exact) < 3 * float(values.std()) / math.sqrt(60)
    assert float(values.std()) / math.sqrt(60) < 0.05 * exact


def test_the_median_bandwidth_is_found_once(monkeypatch):
    found, median = [], mmd._median
    monkeypatch.setattr(mmd, "_median", lambda y: found.append(median(y)) or found[-1])
    g, p = MMD(TARGET, samples=50), draw(0, 20)
    for key in range(3):
        g.at(key).energy(p)
    assert len(found) == 1


def test_mistakes_are_explained():
    class Point(NormalTarget):
        def sample(self, n, dim, generator):
            return torch.zeros(n, dim, dtype=torch.float64)

    with pytest.raises(wopt.DataError, match="bandwidth"):
        MMD(Point([0.0], [[1.0]])).energy(draw(0, 5))
    with pytest.raises(wopt.ConfigError, match="cosines"):
        MMD(TARGET, kernel="energy", features=5)
    with pytest.raises(wopt.ConfigError, match="positive"):
        MMD(TARGET, bandwidth=-1.0)
    with pytest.raises(wopt.DataError, match="at least two"):
        MMD(TARGET, estimator="u", bandwidth=1.0).energy(draw(0, 1))
    unsampled = wopt.build("target", {"name": "potential", "function": lambda x: x.sum(1)})
    with pytest.raises(wopt.CapabilityError, match="TARGET_SAMPLES"):
        wopt.solve(draw(0, 5), objective=MMD(unsampled))
