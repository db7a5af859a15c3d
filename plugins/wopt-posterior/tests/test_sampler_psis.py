"""Pareto-smoothed importance weights: against arviz-stats, exact Pareto laws and closed forms."""

import math

import numpy as np
import pytest
import torch

from wopt.psis import fit_pareto, k_hat_threshold, pareto_quantiles, smoothed_importance_weights
from wopt_measures import effective_size, log_mean_weight
from wopt_posterior.reference import Reference


def normal(n, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("n", [100, 400, 1000, 10_000])
@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_weights_and_k_hat_are_those_of_arviz(n, spread):
    oracle = pytest.importorskip("arviz_stats.base").array_stats
    log_weights = spread * normal(n, seed=n)
    found = smoothed_importance_weights(log_weights)
    theirs, k_hat = oracle.psislw(-log_weights.numpy())  # it takes minus the log ratios
    # where 3 sqrt(S) is no whole number the tails differ by one draw
    tolerance = 1e-10 if math.isqrt(n) ** 2 == n else 0.05
    assert found.k_hat == pytest.approx(float(k_hat), abs=tolerance)
    assert np.abs(found.log_weights.numpy() - theirs).max() < tolerance


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.3, 0.7, 1.2])
def test_the_shape_of_exact_pareto_samples_is_found(k):
    rng = torch.Generator().manual_seed(1)
    for n in (300, 20_000):
        u = torch.rand(n, generator=rng, dtype=torch.float64)
        shape, scale = fit_pareto(pareto_quantiles(u, k, 2.0).sort()[0])
        without_prior = (shape * (n + 10) - 5) / n
        # maximum likelihood: sd (1 + k)/sqrt n, and sqrt(2 (1 + k)) sigma/sqrt n
        assert abs(without_prior - k) < 4 * (1 + max(k, 0)) / math.sqrt(n) + 2 / n
        assert scale == pytest.approx(2.0, abs=4 * 2 * math.sqrt(2 * (1 + abs(k)) / n))


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_k_hat_is_the_tail_of_the_weights(k):
    """w = u^-k has a Pareto tail of shape k exactly."""
    n = 40_000
    u = torch.rand(n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = smoothed_importance_weights(-k * u.log())
    tail = 3 * math.sqrt(n)
    assert abs(found.k_hat - (k * tail + 5) / (tail + 10)) < 4 * (1 + k) / math.sqrt(tail)


def test_k_hat_of_a_gaussian_model():
    """Of N(0, 1) by N(0, s^2) the weights have tail 1 - s^2 (s < 1) and are bounded for s > 1."""
    x = normal(100_000)
    for s, k in ((0.4, 1 - 0.16), (0.9, 1 - 0.81)):
        found = smoothed_importance_weights(-((s * x) ** 2) / 2 + x**2 / 2)
        # the tail is Pareto up to a slowly varying factor, hence the wide tolerance
        assert abs(found.k_hat - k) < 0.2
        assert (found.k_hat > found.threshold) == (k > 0.7)
    assert smoothed_importance_weights(-((1.3 * x) ** 2) / 2 + x**2 / 2).k_hat < 0


def test_equal_weights_and_what_has_none():
    found = smoothed_importance_weights(torch.full((50,), 3.0))
    assert found.k_hat == 0
    assert found.weights.tolist() == pytest.approx([1 / 50] * 50)
    log_weights = normal(1000)
    log_weights[:3] = torch.tensor([-math.inf, math.nan, math.inf])
    found = smoothed_importance_weights(log_weights)
    assert found.weights[:3].tolist() == [0, 0, 0]
    assert float(found.weights.sum()) == pytest.approx(1)
    assert smoothed_importance_weights(torch.full((9,), -math.inf)).k_hat == math.inf
    assert smoothed_importance_weights(normal(20)).k_hat == math.inf  # too few draws to tell


def test_threshold():
    assert k_hat_threshold(100) == pytest.approx(0.5)
    assert k_hat_threshold(2200) == pytest.approx(0.7, abs=0.01)
    assert k_hat_threshold(10**6) == 0.7
    assert k_hat_threshold(1) == -math.inf


def test_log_mean_weight_and_effective_size_of_lognormal_weights():
    """log w ~ N(0, s^2): E w = exp(s^2/2), ESS/S = exp(-s^2)."""
    n, s = 200_000, 0.5
    log_weights = s * normal(n, seed=4)
    value, error = log_mean_weight(log_weights)
    assert error == pytest.approx(math.sqrt((math.exp(s**2) - 1) / n), rel=0.05)
    assert abs(value - s**2 / 2) < 4 * error
    assert effective_size(log_weights) / n == pytest.approx(math.exp(-(s**2)), rel=0.02)


def test_error_bars_of_moments_cover():
    """N(0.5, 1) by draws of N(0, 1.2^2): errors of means and deviations are their spreads."""
    means, sds, said = [], [], []
    for seed in range(200):
        x = 1.2 * normal(400, seed)
        log_weights = -((x - 0.5) ** 2) / 2 + (x / 1.2) ** 2 / 2
        of = Reference(x[:, None], log_weights.softmax(0), torch.arange(400)).moments()
        means.append(of["means"][0])
        sds.append(of["sds"][0])
        said.append((of["means_error"][0], of["sds_error"][0]))
    for values, errors, truth in zip((means, sds), np.array(said).T, (0.5, 1.0), strict=True):
        spread = np.std(values)
        assert abs(np.mean(values) - truth) < 5 * spread / math.sqrt(200) + 0.005  # bias O(1/n)
        assert np.mean(errors) == pytest.approx(spread, rel=0.2)  # sd of a sd: 5 %
