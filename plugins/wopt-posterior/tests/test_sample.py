"""Sampling a posterior: against closed forms, and against mistakes."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.distributions import Beta, Gamma, Normal, constraints

import wopt
from wopt.data.transform import AffineTransform
from wopt.flow import Chain, Flow, Inverse
from wopt.interfaces import support_of
from wopt.testing import AffineBlock
from wopt_measures import Density
from wopt_posterior.posterior import Posterior
from wopt_posterior.reference import Reference


def correlated(x):
    """N(m, S) with m = (3, -1), S = [[4, 3.9], [3.9, 4]], times exp(2)."""
    s = torch.tensor([[4.0, 3.9], [3.9, 4.0]], dtype=torch.float64)
    away = x - torch.tensor([3.0, -1.0], dtype=torch.float64)
    quadratic = (away @ torch.linalg.inv(s) * away).sum(1)
    return 2 - quadratic / 2 - torch.linalg.slogdet(s)[1] / 2 - math.log(2 * math.pi)


def test_a_gaussian_is_exact_by_the_affine_map_alone():
    found = wopt.sample(correlated, 2, n=2000, iterations=5)
    assert found.how.startswith("a Gaussian")
    assert abs(found.log_z - 2) < 1e-6
    assert found.report.ess > 1999
    error = 2 / math.sqrt(2000)
    assert torch.allclose(found.means, torch.tensor([3.0, -1.0]).double(), atol=4 * error)
    z = torch.randn(50, 2, dtype=torch.float64)  # pulled back it is the base, times Z = e^2
    normal = -z.square().sum(1) / 2 - math.log(2 * math.pi)
    assert torch.allclose(found.pull_back(z)[1], normal + 2, atol=1e-6)


def test_constraints_are_kept_and_their_log_dets_counted():
    def log_prob(x):
        return (
            Gamma(3.0, 2.0).log_prob(x[:, 0])
            + Beta(2.0, 5.0).log_prob((x[:, 1] + 1) / 4) - math.log(4)
            + Normal(-2.0, 0.5).log_prob(x[:, 2])
        )  # fmt: skip

    support = {"a": "positive", "1": [-1, 3]}
    found = wopt.sample(log_prob, 3, names=["a", "b", "c"], support=support, n=2000, iterations=20)
    x = found.draws
    assert bool((x[:, 0] > 0).all() & (x[:, 1] > -1).all() & (x[:, 1] < 3).all())
    assert found.reliable
    assert abs(found.log_z) < 4 * found.log_z_error + 1e-3
    exact = torch.tensor([1.5, 4 * 2 / 7 - 1, -2.0]).double()
    assert bool(((found.means - exact).abs() < 5 * torch.tensor(found.report.means_error)).all())
    z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, log_density = found.pull_back(z)
    assert bool((x[:, 0] > 0).all() & (x[:, 1] > -1).all() & (x[:, 1] < 3).all())
    weight = (log_density + z.square().sum(1) / 2).exp() * (2 * math.pi) ** 1.5
    assert abs(weight.mean() - 1) < 4 * weight.std() / math.sqrt(4000) + 1e-3  # Z = 1


def test_the_same_seed_gives_the_same_draws():
    a, b = (wopt.sample(correlated, 2, n=50, iterations=2, seed=3) for _ in range(2))
    assert torch.equal(a.draws, b.draws)


def test_draws_are_right_where_the_weights_of_the_map_are_not():
    """N(0, 0.16) for N(0, 1): the tail index of the weights is 0.84, their mean has no variance."""
    narrow = AffineBlock(1).double()
    narrow.matrix.data = torch.tensor([[0.4]]).double()
    normal = torch.distributions.MultivariateNormal(torch.zeros(1).double(), torch.eye(1).double())
    z = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flow = Flow(Inverse(Chain([narrow], AffineTransform.fit(z, "none"))), normal)
    density = Density(normal.log_prob, support_of(None, ("a",)), ("a",))
    made = (density, flow, 4000, 0, "by hand")
    found = Posterior.of(*made, Reference.exact(z), trajectories=10)
    assert found.k_hat > 0.7
    assert found.reliable, found.report.warnings
    assert abs(found.log_z) < 4 * found.log_z_error < 0.2
    assert abs(float(found.means[0])) < 0.1
    assert abs(float(found.sds[0]) - 1) < 0.07
    assert not Posterior.of(*made, Reference.exact(z + 9), trajectories=1).reliable  # they differ


def test_the_flow_lives_in_free_coordinates_and_is_saved(tmp_path):
    found = wopt.sample(
        lambda x: Gamma(3.0, 2.0).log_prob(x[:, 0]), 1, n=200, support={0: "positive"}, iterations=5
    )
    again = wopt.load(found.flow.save(tmp_path / "posterior.safetensors"))
    y = found.density.support.inverse(found.draws[:5])[0]
    assert torch.allclose(again.log_prob(y), found.flow.log_prob(y))


@pytest.mark.parametrize(
    ("log_prob", "message"),
    [
        (lambda x: x.log().sum(1) - x.sum(1), r"is nan at .* points .*support = "),
        (lambda x: -x.square() / 2, r"returned shape \(64, 2\).*\.sum\(1\)"),
        (lambda x: torch.zeros(len(x)), "no gradient"),
        (lambda x: x.nothing(), "log_prob failed for points of shape.*It must take any number"),
        (lambda x: -np.exp(x).sum(1), "It calls numpy.*write it in torch"),
        (lambda x: -(x[0] ** 2) - x[1] ** 2, r"It takes one point.*torch\.vmap"),
        (lambda x: -x.square().sum(), r"returned shape \(\).*It takes one point"),
        (lambda x: -math.hypot(*x), "failed for points.*It takes one point"),
        (lambda a, b: -(a**2) - b**2, r"It takes one point.*function\(\*x\.T\)"),
        (lambda x: -(x - x).square().sum(1).sqrt(), "the gradient of log_prob is not finite"),
        (lambda x: torch.where(x[:, 0] > 99, -x.sum(1), -torch.inf), "is -inf at"),
    ],
)
def test_mistakes_are_told(log_prob, message):
    with pytest.raises(wopt.DataError, match=message):
        wopt.sample(log_prob, 2)


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ({"5": "positive"}, "no coordinate '5'"),
        ({"0": "negative"}, "is none of"),
        ({"0": [1, 0]}, "is empty"),
        ({"0": constraints.simplex}, "not about one continuous coordinate"),
    ],
)
def test_supports_that_are_none(support, message):
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.sample(lambda x: -x.square().sum(1), 2, support=support)


def test_a_density_that_is_zero_in_places_is_sampled():
    """As is that of sbibm's two moons, and it may be zero around the origin where a start is."""

    def log_prob(x):
        value = -x[:, 0].abs() - x[:, 1].square() / 2
        return torch.where(x[:, 0].abs() > 4, value, -torch.inf)

    found = wopt.sample(log_prob, 2, n=1000, iterations=20, start=torch.tensor([5.0, 0.0]))
    assert bool(log_prob(found.draws).isfinite().all())
    exact = math.log(2 * math.exp(-4) * math.sqrt(2 * math.pi))
    assert abs(found.log_z - exact) < 4 * found.log_z_error + 0.1
    with pytest.raises(wopt.ConfigError, match="start"):
        wopt.sample(log_prob, 2, start=torch.zeros(2))


def test_derived_quantities_have_quantiles_and_errors():
    """b is N(1, I) in the plane, so that |b - 1|^2 is exponential of mean 2."""
    found = wopt.sample(
        lambda x: -(x - 1).square().sum(1) / 2, 2, names=["b[0]", "b[1]"], iterations=5
    )
    assert found.variables["b"].shape == (4000, 2)

    def square(v):
        return (v["b"] - 1).square().sum(1)

    mean, error = found.mean_of(square)
    assert abs(float(mean[0]) - 2) < 4 * float(error[0]) < 0.2
    levels = [0.1, 0.5, 0.9]
    exact = [-2 * math.log(1 - level) for level in levels]
    assert found.quantiles(levels, of=square)[:, 0].tolist() == pytest.approx(exact, rel=0.15)
    assert len(found.redrawn(500, seed=3).draws) == 500
    with pytest.raises(wopt.ConfigError, match="a value for each of 4000 draws"):
        found.quantiles(of=lambda v: v["b"][:3])
    u = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = torch.cat([found.draws[:, :1], (math.pi * (u - 0.5)).tan()], 1)
    cauchy = dataclasses.replace(found, draws=draws)
    assert "b[1]: by their tails not all moments are finite" in cauchy.text()
    assert cauchy.text().count("infinite") == 1


def test_a_posterior_goes_on_by_a_further_map():
    """A ring of radius 2 with the density exp(-8 (r - 2)^2), whose Z is that of an integral."""

    def ring(x):
        return -8 * (x.norm(dim=1) - 2).square()

    first = wopt.sample(ring, 2, iterations=4, n=2000)
    second = first.redrawn(2000).continued(iterations=60)
    r = torch.linspace(0, 6, 20_001).double()
    z = torch.trapezoid(2 * math.pi * r * ring(r[:, None]).exp(), r)
    assert second.report.elbo > first.report.elbo + 0.5
    assert abs(second.log_z - float(z.log())) < 4 * second.log_z_error
    assert len(second.draws) == 2000
    assert second.how.count("and") == 1
    assert second.cpu_seconds > first.cpu_seconds
    exact = wopt.sample(correlated, 2, n=500, iterations=5)
    assert exact.continued(iterations=5).how == exact.how  # nothing is left to train
    with pytest.raises(wopt.ConfigError, match="no training state"):
        dataclasses.replace(exact, solution=None).continued()
