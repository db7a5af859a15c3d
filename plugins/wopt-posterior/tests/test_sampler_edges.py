"""Draws that end where the target goes on are told by the slope of its potential there."""

import math

import pytest
import torch

import wopt
from wopt.testing import GaussianTarget
from wopt_posterior.diagnostics.draws import sharpest_edge
from wopt_posterior.diagnostics.measure import measure_sampler
from wopt_posterior.diagnostics.warnings_of import warnings_of_truncation

WIDE = torch.float64


def chance(seed):
    return torch.Generator().manual_seed(seed)


class Funnel(wopt.Target):
    """v ~ N(0, 9), four coordinates given v ~ N(0, exp(v))."""

    provides = wopt.Capability.POTENTIAL

    def potential(self, x):
        v, rest = x[:, 0], x[:, 1:]
        return v.square() / 18 + 2 * v + rest.square().sum(1) * (-v).exp() / 2

    def draw(self, seed, n):
        z = torch.randn(n, 5, generator=chance(seed), dtype=WIDE)
        return torch.cat([3 * z[:, :1], z[:, 1:] * (1.5 * z[:, :1]).exp()], 1)


class Exponential(wopt.Target):
    """Exponential(1) on the positive numbers: the target has an end itself."""

    provides = wopt.Capability.POTENTIAL

    def potential(self, x):
        return torch.where(x[:, 0] > 0, x[:, 0], torch.inf)

    def draw(self, seed, n):
        return -torch.rand(n, 1, generator=chance(seed), dtype=WIDE).log()


class Student(wopt.Target):
    """Student's law of three degrees of freedom in the plane."""

    provides = wopt.Capability.POTENTIAL

    def potential(self, x):
        return 2.5 * torch.log1p(x.square().sum(1) / 3)

    def draw(self, seed, n):
        z = torch.randn(n, 5, generator=chance(seed), dtype=WIDE)
        return z[:, :2] / (z[:, 2:].square().mean(1, keepdim=True)).sqrt()


@pytest.mark.parametrize("law", [Funnel(), Exponential(), Student()])
def test_exact_draws_raise_no_doubt(law):
    """At 0.001 each; a false alarm in 30 has a chance of 0.03."""
    found = [sharpest_edge(law, law.draw(s, 8000), torch.zeros(8000)) for s in range(10)]
    assert not [edge for edge in found if warnings_of_truncation(edge)]


def test_the_density_at_a_cut():
    """Below v = -3, one deviation, are 16 %; the density there is 0.081, of what is left 0.096."""
    law = Funnel()
    x = law.draw(0, 40_000)
    x = x[x[:, 0] > -3]
    edge = sharpest_edge(law, x, torch.zeros(len(x)))
    assert (edge.coordinate, edge.below) == (0, True)
    normal = math.exp(-0.5) / math.sqrt(2 * math.pi) / 3
    left = (1 + math.erf(1 / math.sqrt(2))) / 2
    assert edge.density == pytest.approx(normal / left, abs=4 * edge.error)
    assert "lower end of coordinate 1" in warnings_of_truncation(edge)[0]


def test_weights_count():
    """Draws of N(0, 4), cut off above, with the weights of N(0, 1)."""
    p, x = GaussianTarget([0.0], [[1.0]]), 2 * torch.randn(40_000, 1, generator=chance(0)).double()
    log_w = -x[:, 0].square() / 2 + x[:, 0].square() / 8
    assert not warnings_of_truncation(sharpest_edge(p, x, log_w))
    x, log_w = x[x[:, 0] < 1.5], log_w[x[:, 0] < 1.5]
    edge = sharpest_edge(p, x, log_w)
    assert warnings_of_truncation(edge)
    assert not edge.below


def test_a_report_looks_at_more_draws_than_it_is_given():
    """A model that lacks 2.3 % of the target, whose equal weights say that nothing is wrong."""
    p, source = GaussianTarget([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]), chance(1)
    lost = math.log(1 - 0.0227501)

    def more(n):
        x = p.sample(2 * n, 2, source)
        x = x[x[:, 1] > -2][:n]
        return x, -p.potential(x) - lost

    x, log_q = more(1000)
    report = measure_sampler(p, x, log_q, more=more)
    assert report.k_hat < report.k_hat_threshold
    assert any("lower end of coordinate 2" in doubt for doubt in report.warnings)


def test_few_draws_say_nothing():
    assert sharpest_edge(Funnel(), Funnel().draw(0, 500), torch.zeros(500)) is None
