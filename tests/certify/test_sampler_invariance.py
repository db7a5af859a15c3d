"""Draws that lack an arm or a tail of the target are told by steps that leave it as it is."""

import torch

import wopt
from wopt.certify.sampler.doubts import doubts_of_drift
from wopt.certify.sampler.invariance import largest_drift
from wopt.certify.sampler.measure import measure_sampler


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
    reports = [largest_drift(Banana(), draws(s, 3000), torch.zeros(3000), s) for s in range(20)]
    assert not [d for d in reports if doubts_of_drift(d)]


def test_weights_are_used():
    """Of N(0, 4 I), weighted to the standard normal law."""
    x = 2 * torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0)).double()
    normal = wopt.build("target", "gaussian")
    weights = -x.square().sum(1) * (1 / 2 - 1 / 8)
    assert not doubts_of_drift(largest_drift(normal, x, weights, 0))
    assert doubts_of_drift(largest_drift(normal, x, torch.zeros(10_000), 0))


def test_lost_arms_that_equal_weights_hide():
    """Without those beyond |x| = 4 (0.046 of the mass) weights are equal: k-hat is silent."""
    x = draws(0)
    x = x[x[:, 0].abs() < 4]
    z = 2 * torch.pi * 2 * 0.5**0.5
    log_q = -Banana().potential(x) - torch.tensor(z * 0.9545).log()
    report = measure_sampler(Banana(), x, log_q)
    assert report.ess > 0.999 * len(x)
    assert not report.reliable
    assert "miss a part of the target" in " ".join(report.doubts)
