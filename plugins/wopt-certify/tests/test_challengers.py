"""Challengers are normalised densities that see what they are made for."""

import itertools
import math

import pytest
import torch
from by_hand import normal

from wopt import build
from wopt.testing import NormalTarget
from wopt_certify.challenge.challenge import CLOSED
from wopt_certify.challenge.densities import curve_of
from wopt_certify.challenge.free_step import free_step
from wopt_certify.challenge.tree import Tree
from wopt_measures.laws.bent import FunnelLaw
from wopt_measures.laws.known import known_laws
from wopt_measures.laws.spheres import ShellLaw, StudentLaw

KINDS = {kind.name: kind for kind in CLOSED}


def standard(dim):
    return NormalTarget([0.0] * dim, torch.eye(dim).tolist())


def uniform(n, d=1, seed=0):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def straight(fit, hold):
    """Return a tree of the columns as they are."""
    return Tree.best(fit, hold, fit.new_zeros(fit.shape[1]), torch.eye(fit.shape[1]).double())


def drawn(law, sizes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [law.sample(n, law.dim, rng) for n in sizes]


def lost(law, kind, sizes=(3000, 1000, 4000)):
    """Return the nats that a challenger loses to the law itself."""
    fit, hold, fresh = drawn(law, sizes)
    return float((law.log_prob(fresh) - kind.fit(fit, hold, 0, 1)(fresh)).mean())


@pytest.mark.parametrize(
    ("name", "law", "reach"),
    [*itertools.product(KINDS, ["banana-2", "student-2"], [40]), ("free step", "banana-2", 14)],
)
def test_they_integrate_to_one(name, law, reach):
    """A density that integrates to more could be above the truth: the midpoint rule on a square."""
    fit, hold = drawn(known_laws()[law], (400, 200))
    kind = KINDS.get(name) or free_step(
        build("block", "autoregressive"), standard(2), iterations=30
    )
    side = torch.arange(-reach, reach, 0.1, dtype=torch.float64) + 0.05
    density = kind.fit(fit, hold, 0, 2)
    grid = torch.cartesian_prod(side, side)
    total = sum(float(density(part).exp().sum()) for part in grid.split(100_000)) * 0.1**2
    assert total == pytest.approx(1.0, abs=0.01)


def test_a_tree_of_three_integrates_to_one():
    """By importance sampling: the mean of p/r at draws of r, a Gaussian twice as wide."""
    x = known_laws()["mixture-5"].sample(1500, 5, torch.Generator().manual_seed(0))[:, :3]
    wide = torch.distributions.MultivariateNormal(x.mean(0), 4 * torch.cov(x.T))
    draws = wide.loc + normal(100_000, 3) @ wide.scale_tril.T
    ratio = (straight(x[:1000], x[1000:])(draws) - wide.log_prob(draws)).exp()
    error = float(ratio.std()) / len(ratio) ** 0.5
    assert error < 0.02
    assert abs(float(ratio.mean()) - 1) < 4 * error


LAWS = {
    "log-normal": (lambda n, s: normal(n, 1, s).exp(), 1.4189385),  # that of log x, whose mean is 0
    "arcsine": (lambda n, s: (math.pi / 2 * uniform(n, 1, s)).sin() ** 2, math.log(math.pi / 4)),
    "minus exponential": (lambda n, s: uniform(n, 1, s).log(), 1.0),
}  # fmt: skip
"""Draws, and the entropies of the laws."""


@pytest.mark.parametrize("name", LAWS)
def test_a_skewed_or_bounded_column_has_nearly_the_laws_likelihood(name):
    """E log p is minus the entropy."""
    draw, entropy = LAWS[name]
    fit, fresh = (draw(n, seed)[:, 0] for n, seed in ((4000, 1), (20_000, 3)))
    gap = -entropy - float(curve_of(fit).log_density(fresh).clamp(min=-30).mean())
    assert -0.03 < gap < 0.12  # standard error 0.01


def test_a_gaussian_column_costs_nothing():
    x = normal(6000, 1)[:, 0]
    curve = curve_of(x[:1500])
    entropy = math.log(2 * math.pi * math.e) / 2
    assert abs(float(curve.log_density(x[2000:]).mean()) + entropy) < 0.03


@pytest.mark.parametrize(
    ("law", "name", "most"),
    [
        (ShellLaw(20, 4.4, 0.4), "shells", 0.03),
        (StudentLaw(10, 5), "shells", 0.06),
        (FunnelLaw(6, 1.0), "Gaussians", 0.25),
        (known_laws()["ring-2"], "turned tree", 0.15),
        (known_laws()["mixture-5"], "Gaussians", 0.05),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_what_they_are_made_for_is_seen(law, name, most):
    assert -0.02 < lost(law, KINDS[name]) < most


def test_independent_components_are_found():
    """Five heavy-tailed components, turned: the product of their own laws is the density."""
    s = torch.distributions.Laplace(0.0, 1.0).icdf(uniform(6000, 5, 1))
    x = s @ torch.linalg.qr(normal(5, 5, 2))[0].T
    entropy = 5 * (1 + math.log(2))
    fit, hold, judge = x[:4000], x[4000:5000], x[5000:]
    turned = float(Tree.turned(fit, hold, 0)(judge).mean()) + entropy
    assert turned > float(straight(fit, hold)(judge).mean()) + entropy + 0.05
    assert turned == pytest.approx(0.0, abs=0.2)


def test_what_a_score_says_of_another_is_a_conditional_density():
    """The integral over x_2 given x_1 is one at every x_1, far from the rows too."""
    x = normal(2000, 2)
    x[:, 1] = (4 * x[:, 0]).sin() + 0.1 * x[:, 1]
    tree = straight(x[:1500], x[1500:])
    (plane,) = tree.planes
    v = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    phi = torch.distributions.Normal(0.0, 1.0).log_prob(v)
    for at in (-9.0, -1.0, 0.0, 2.0):
        u = torch.zeros(len(v), 2, dtype=torch.float64)
        u[:, plane.i], u[:, plane.j] = at, v
        assert float((plane(u) + phi).exp().sum()) * 0.001 == pytest.approx(1.0, abs=1e-3)
