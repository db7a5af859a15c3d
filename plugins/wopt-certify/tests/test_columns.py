"""Challengers by columns: bent ones, broken lines, and the columns that whitening has mixed."""

import itertools
import math

import pytest
import torch

from wopt.particles import Particles
from wopt.testing import GaussianTarget
from wopt_certify.challenge import ChallengeRows, EscalationOptions, challenge
from wopt_certify.challenge.conditional import PiecewiseLinearRegression
from wopt_certify.challenge.monotone_transform import MonotoneTransform, TransformedDensity
from wopt_certify.challenge.tree import Tree


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(n, d=1, seed=0):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LAWS = {
    "log-normal": (lambda n, s: normal(n, 1, s).exp(), 1.4189385),  # that of log x, whose mean is 0
    "arcsine": (lambda n, s: (math.pi / 2 * uniform(n, 1, s)).sin() ** 2, math.log(math.pi / 4)),
    "minus exponential": (lambda n, s: uniform(n, 1, s).log(), 1.0),
}  # fmt: skip
"""Draws, and the entropies of the laws."""


@pytest.mark.parametrize("name", LAWS)
def test_what_is_bent_has_nearly_the_laws_likelihood(name):
    """E log p is minus the entropy; a kernel density of 4,000 rows loses a few hundredths."""
    draw, entropy = LAWS[name]
    fit, hold, fresh = draw(4000, 1), draw(1000, 2), draw(20_000, 3)
    density = TransformedDensity.best(fit, hold, 0)
    assert density is not None
    lost = -entropy - float(density(fresh).clamp(min=-30).mean())
    assert -0.03 < lost < 0.08  # standard error 0.01


@pytest.mark.parametrize("name", LAWS)
def test_bent_columns_integrate_to_one_and_so_they_do_fitted_anew(name):
    """By Gauss-Legendre's rule on pieces that shrink towards where densities may be infinite."""
    draw, _ = LAWS[name]
    density = TransformedDensity.best(draw(2000, 1), draw(600, 2), 0)
    low, high = {"log-normal": (-2, 400), "minus exponential": (-40, 2)}.get(name, (-0.5, 1.5))
    pieces = [10.0**-k for k in range(14)]
    ends = sorted(
        {low, high, *(p for p in pieces), *(1 - p for p in pieces), *(-p for p in pieces)}
    )
    edges = [low, *(e for e in ends if low < e < high), high]
    nodes, weights = legendre(60)
    for one in (density, density.refit(draw(3000, 4))):
        total = 0.0
        for a, b in itertools.pairwise(edges):
            x = (a + (b - a) * nodes)[:, None]
            total += float((one(x).exp() * weights).sum()) * (b - a)
        assert total == pytest.approx(1.0, abs=0.01)


def legendre(n):
    """Return nodes and weights on [0, 1]."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(n)
    return torch.from_numpy(nodes + 1) / 2, torch.from_numpy(weights) / 2


def test_outside_of_the_ends_a_density_is_zero():
    x = uniform(3000, 2)
    density = TransformedDensity.best(x[:2000], x[2000:], 0)
    assert torch.isinf(density(torch.tensor([[-0.2, 0.5], [0.5, 1.2]]).double())).all()
    assert torch.isfinite(density(torch.tensor([[0.2, 0.5]]).double())).all()


def test_normal_columns_are_left_as_they_are():
    x = normal(3000, 3)
    assert TransformedDensity.best(x[:2000], x[2000:], 0) is None


@pytest.mark.parametrize(
    "warp",
    [
        MonotoneTransform(low=0.0),
        MonotoneTransform(high=3.0),
        MonotoneTransform(0.0, 3.0),
        MonotoneTransform(centre=1.0, scale=0.5),
    ],
)
def test_the_slope_of_a_map_is_its_derivative(warp):
    x, step = torch.linspace(0.2, 2.8, 40, dtype=torch.float64), 1e-6
    slope = (warp(x + step)[0] - warp(x - step)[0]) / (2 * step)
    assert torch.allclose(slope.log(), warp(x)[1], atol=1e-7)


def test_a_broken_line_is_a_conditional_density():
    """The integral over x_2 given x_1 is one at every x_1, far from the rows too."""
    x = normal(2000, 2)
    x[:, 1] = (4 * x[:, 0]).sin() + 0.1 * x[:, 1]
    curve = PiecewiseLinearRegression.of(x, 0, 1, 32)
    y = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
    for at in (-5.0, -1.0, 0.0, 2.0, 9.0):
        points = torch.stack([torch.full_like(y, at), y], dim=1)
        assert float(curve.given(points).exp().sum()) * 0.002 == pytest.approx(1.0, abs=1e-3)


def test_what_winds_is_a_tree_of_broken_lines():
    """x_2 = sin 4 x_1 + 0.1 z: given x_1 its entropy is log 0.1 + 1.419."""
    x = normal(8000, 2)
    x[:, 1] = (4 * x[:, 0]).sin() + 0.1 * x[:, 1]
    tree = Tree(x[:5000], x[5000:6000])
    entropy = 2 * 1.4189385 + math.log(0.1)
    assert 0.0 < -entropy - float(tree(x[6000:]).mean()) + 0.03 < 0.15  # standard error 0.02


def test_columns_are_known_where_whitening_has_mixed_them():
    """The model is the Gaussian of a correlated log-normal law in whitened coordinates.

    KL = E log p - E log N, both in closed form: of whitened rows the second is -(d/2) log 2 pi e.
    """
    z = normal(12_000, 2) @ torch.tensor([[1.0, 0.0], [0.6, 0.8]]).double().T
    x = z.exp()
    mean, covariance = (
        math.exp(0.5),
        math.exp(1)
        * torch.tensor(
            [[math.e - 1, math.exp(0.6) - 1], [math.exp(0.6) - 1, math.e - 1]], dtype=torch.float64
        ),
    )
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False).T
    target = GaussianTarget([0.0] * 2, torch.eye(2).tolist())
    shift = torch.full((2,), mean, dtype=torch.float64)
    rows = [
        ChallengeRows.of(target, part, Particles.start(part), (factor, shift))
        for part in white.split([4000, 1000, 7000])
    ]
    true = float(factor.logdet()) - math.log(0.8)
    columns, data = (rows[2].views[side] for side in ("columns", "data"))
    scale = covariance.diagonal().sqrt()
    assert torch.allclose(columns.points * scale, x[5000:])
    change = float(factor.logdet() - scale.log().sum())
    assert torch.allclose(columns.log_model, data.log_model - change)
    side = challenge(target, *rows, EscalationOptions(None, budget=1.0))
    assert 0.7 * true < side.low < true
    assert abs(side.value - true) < 5 * side.error + 0.05
    assert "warped columns" in side.by
