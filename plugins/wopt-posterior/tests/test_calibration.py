"""Simulation-based calibration, with samplers whose errors are known."""

import math
import types

import pytest
import torch

import wopt
import wopt_posterior.calibration
from wopt_posterior import calibrate

# x ~ N(0, 1) and y ~ N(x, 1/4): the posterior is N(4 y/5, 1/5).


def prior(rng):
    return torch.randn(2, generator=rng).double()


def simulate(x, rng):
    return x + torch.randn(2, generator=rng).double() / 2


def joint(x, y):
    return -(x.square() + 4 * (y - x).square()).sum(1) / 2


def drawn(width, shift, share=0.8):
    """Return a sampler that knows the posterior and errs as is said."""

    def sample(density, dim, seed, **options):
        x = torch.zeros(1, dim, dtype=torch.float64, requires_grad=True)
        y = torch.autograd.grad(density(x).sum(), x)[0] / 4
        rng = torch.Generator().manual_seed(seed)

        noise = torch.randn(99, dim, generator=rng).double()
        draws = share * y + math.sqrt(1 - share) * (shift + width * noise)
        return types.SimpleNamespace(draws=draws, names=("a", "b"), reliable=True)

    return sample


@pytest.mark.parametrize(
    ("sampler", "wrong"),
    [
        (drawn(1.0, 0.0), ()),
        (drawn(0.6, 0.0), ("a", "b", "log_prob")),
        (drawn(1.0, 0.6), ("a", "b")),
        (drawn(1.0, 0.0, share=0.0), ("log_prob",)),  # the prior: its ranks are uniform
    ],
)
def test_wrong_samplers_are_seen(monkeypatch, sampler, wrong):
    monkeypatch.setattr(wopt_posterior.calibration, "sample", sampler)
    found = calibrate(prior, simulate, joint, runs=200)
    assert found.ranks.shape == (200, 3)
    assert int(found.ranks.min()) >= 0
    assert int(found.ranks.max()) <= 99
    low = {name for name, p in found.p_values.items() if p < 1e-3}
    assert low >= set(wrong)
    assert low <= {*wrong, "log_prob"} if wrong else not low
    assert (found.p_value < 0.01) == bool(wrong)


def test_p_values_are_those_of_a_test(monkeypatch):
    """Of a right sampler each is below 0.1 in at most about a tenth of repetitions."""
    monkeypatch.setattr(wopt_posterior.calibration, "sample", drawn(1.0, 0.0))
    found = [calibrate(prior, simulate, joint, runs=20, seed=seed) for seed in range(60)]
    for name in found[0].names:
        assert sum(one.p_values[name] < 0.1 for one in found) <= 13  # binomial, p = 0.003


def test_posteriors_of_wopt_are_calibrated():
    found = calibrate(prior, simulate, joint, runs=5, n=500, iterations=5)
    assert found.p_value > 0.01
    assert "5 of 5 posteriors are called reliable" in found.text()
    with pytest.raises(wopt.ConfigError, match=r"\(d,\)"):
        calibrate(lambda rng: torch.zeros(1, 2), simulate, joint, runs=1)
