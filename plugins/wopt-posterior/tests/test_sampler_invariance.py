"""Draws that lack an arm or a tail of the target are told by steps that leave it as it is."""

import math

import torch

import wopt
from wopt_posterior.diagnostics import draws as invariance
from wopt_posterior.diagnostics.draws import largest_drift
from wopt_posterior.diagnostics.measure import measure_sampler
from wopt_posterior.diagnostics.warnings_of import warnings_of_invariance


class Banana(wopt.Target):
    """x ~ N(0, 4), y given x ~ N(x^2/4, 1/2)."""

    provides = wopt.Capability.POTENTIAL

    def potential(self, x):
        return x[:, 0] ** 2 / 8 + (x[:, 1] - x[:, 0] ** 2 / 4) ** 2


def draws(seed, n=10_000):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[:, 0] *= 2
    x[:, 1] = x[:, 1] / 2**0.5 + x[:, 0] ** 2 / 4
    return x


def test_exact_draws_raise_no_doubt():
    """At 0.001 each; a false alarm in 20 has a chance of 0.02."""
    reports = [
        largest_drift(Banana(), draws(s, 3000), torch.zeros(3000), s, steps=64) for s in range(20)
    ]
    assert not [d for d in reports if warnings_of_invariance(d)]


class Neck(wopt.Target):
    """-t ~ Exponential(1), five coordinates given t ~ N(0, exp(2 t)): log Z = 0."""

    provides = wopt.Capability.POTENTIAL

    def potential(self, x):
        t, rest = x[:, 0], x[:, 1:]
        inside = -t + 5 * t + (rest / t.exp()[:, None]).square().sum(1) / 2
        return torch.where(t < 0, inside + 2.5 * math.log(2 * math.pi), torch.inf)

    def draw(self, seed, n):
        rng = torch.Generator().manual_seed(seed)
        t = torch.rand(n, 1, generator=rng, dtype=torch.float64).log()
        return torch.cat([t, t.exp() * torch.randn(n, 5, generator=rng).double()], 1)


def test_a_neck_that_the_model_lacks(monkeypatch):
    """exp(-2.5) = 0.08 of the mass; the model is the law without it, so weights are equal."""
    monkeypatch.setattr(invariance, "_STEPS", 512)
    law, log_kept = Neck(), math.log(1 - math.exp(-2.5))
    x = law.draw(0, 4000)
    x = x[x[:, 0] > -2.5]

    def model(y):
        return torch.where(y[:, 0] > -2.5, -law.potential(y) - log_kept, -torch.inf)

    weights = torch.full((len(x),), log_kept).double()
    drift = largest_drift(law, x, weights, 0, model, steps=512)
    assert drift.of.startswith("p/(p + q)")
    assert drift.value > 5 * drift.error
    assert warnings_of_invariance(drift)


def test_a_model_that_lacks_nothing_raises_no_doubt():
    """q is p stretched by 1.02 in t, with its weights; 6 at 0.001 each."""
    law = Neck()

    def model(y):  # t/1.02 has the law of t, and the others given it are right
        return -law.potential(y) + (1 - 1 / 1.02) * -y[:, 0] - math.log(1.02)

    for seed in range(6):
        x = law.draw(seed, 1000)
        t = 1.02 * x[:, :1]
        x = torch.cat([t, x[:, 1:] * (t - x[:, :1]).exp()], 1)
        weights = -law.potential(x) - model(x)
        assert not warnings_of_invariance(largest_drift(law, x, weights, seed, model, 128))


def test_weights_are_used():
    """Of N(0, 4 I), weighted to the standard normal law."""
    x = 2 * torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0)).double()
    normal = wopt.build("target", "gaussian")
    weights = -x.square().sum(1) * (1 / 2 - 1 / 8)
    assert not warnings_of_invariance(largest_drift(normal, x, weights, 0, steps=64))
    assert warnings_of_invariance(largest_drift(normal, x, torch.zeros(10_000), 0, steps=64))


def test_lost_arms_that_equal_weights_hide():
    """Without those beyond |x| = 4 (0.046 of the mass) weights are equal: k-hat is silent."""
    x = draws(0)
    x = x[x[:, 0].abs() < 4]
    z = 2 * torch.pi * 2 * 0.5**0.5
    log_q = -Banana().potential(x) - torch.tensor(z * 0.9545).log()
    report = measure_sampler(Banana(), x, log_q)
    assert report.ess > 0.999 * len(x)
    assert not report.reliable
    assert "miss a part of the target" in " ".join(report.warnings)
