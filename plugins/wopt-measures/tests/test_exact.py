"""Exact solutions against the equations that they solve, and against each other."""

import math

import pytest
import torch

import wopt
from wopt_measures import BarenblattLaw, DensitySource, GaussianSource, MixtureSource
from wopt_measures.laws.nodes import nodes

KL = {"name": "kl", "target": {"name": "random_gaussian", "dim": 2, "draw": 3}}
PULLED = {
    "name": "sum",
    "parts": [
        {"objective": {"name": "internal", "m": 2.0}},
        {"objective": {"name": "interaction", "strength": 0.5}},
    ],
}
STARTS = {
    "gaussian": (GaussianSource(mean=[1.0, -1.0], covariance=[[2.0, 0.5], [0.5, 1.0]]), KL),
    "mixture": (MixtureSource(means=[[2.0, 0.0], [-2.0, 1.0]], weights=[1.0, 3.0]), KL),
    "barenblatt": (DensitySource({"name": "barenblatt", "dim": 2}), PULLED),
}


def laws(name, source, objective, dim=2):
    return wopt.build("exact", name).of(source, wopt.build("objective", objective), dim)


def velocity(objective, law, x):
    """Return minus the Wasserstein gradient at points, from its definition."""
    if objective is KL:
        target = wopt.build("target", KL["target"])
        return target.score(x) - law.score(x)
    density = law.log_prob(x).exp()[:, None]  # -grad of 2 rho, and the pull to the mean at 0
    return -2 * density * law.score(x) - 0.5 * x


@pytest.mark.parametrize("start", STARTS)
def test_the_law_solves_the_continuity_equation(start):
    """d rho/dt = -div(rho v), by central differences of the density in time and space."""
    source, objective = STARTS[start]
    name = "barenblatt" if start == "barenblatt" else "ornstein_uhlenbeck"
    exact, t, e = laws(name, source, objective), 0.3, 1e-4
    x = 0.4 * torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    rate = (-exact.law(t + e).potential(x)).exp() - (-exact.law(t - e).potential(x)).exp()
    law, inflow = exact.law(t), torch.zeros(20).double()
    for j in range(2):
        shift = e * torch.eye(2).double()[j]
        for side, y in ((1, x + shift), (-1, x - shift)):
            inflow -= side * (-law.potential(y)).exp() * velocity(objective, law, y)[:, j]
    assert torch.allclose(rate / (2 * e), inflow / (2 * e), atol=1e-6)
    assert float((rate / (2 * e)).abs().max()) > 1e-3  # it does move


@pytest.mark.parametrize("start", ["gaussian", "barenblatt"])
def test_points_are_carried_to_the_law(start):
    """log p_t(T x) + log |det DT| = log p_0(x)."""
    source, objective = STARTS[start]
    name = "barenblatt" if start == "barenblatt" else "ornstein_uhlenbeck"
    exact = laws(name, source, objective)
    x = 0.3 * torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double()
    jacobian = torch.stack([torch.autograd.functional.jacobian(
        lambda p: exact.carry(p[None], 0.7)[0], row) for row in x])  # fmt: skip
    moved = -exact.law(0.7).potential(exact.carry(x, 0.7)) + torch.linalg.slogdet(jacobian)[1]
    assert torch.allclose(moved, -exact.law(0.0).potential(x), atol=1e-9)


@pytest.mark.parametrize("start", STARTS)
def test_second_moments_are_those_of_draws(start):
    source, objective = STARTS[start]
    name = "barenblatt" if start == "barenblatt" else "ornstein_uhlenbeck"
    exact = laws(name, source, objective)
    squares = exact.law(0.5).sample(40_000, 2, torch.Generator().manual_seed(2)).square().sum(1)
    error = float(squares.std()) / 200
    assert abs(float(squares.mean()) - exact.second_moment(0.5)) < 4 * error


def test_the_virial_law_is_that_of_known_solutions():
    """Where the whole law is known, its second moment is the closed equation's."""
    heat = {"name": "sum", "parts": [
        {"objective": "entropy", "weight": 0.5},
        {"objective": {"name": "interaction", "strength": 0.3}},
    ]}  # fmt: skip
    source = GaussianSource(scale=1.5, dim=3)
    whole, moment = (laws(n, source, heat, 3) for n in ("ornstein_uhlenbeck", "second_moment"))
    for t in (0.0, 0.4, 3.0):
        assert moment.second_moment(t) == pytest.approx(whole.second_moment(t), rel=1e-12)


def test_keller_segel_changes_its_second_moment_by_the_mass():
    chi = 4 * math.pi
    objective = {"name": "sum", "parts": [
        {"objective": "entropy"},
        {"objective": {"name": "interaction", "kernel": "newtonian", "strength": -chi}},
    ]}  # fmt: skip
    exact = laws("second_moment", GaussianSource(dim=2), objective)
    assert exact.second_moment(1.0) == pytest.approx(2 + 4 * (1 - chi / (8 * math.pi)))


@pytest.mark.parametrize(("m", "dim"), [(2.0, 1), (2.0, 3), (3.0, 2), (1.5, 6)])
def test_barenblatts_law(m, dim):
    """Mass and second moment by the radial rule's exact weights; draws by their moment."""
    law = BarenblattLaw(m, dim, 1.7)
    x, weights = nodes(law, "radial", 4, dim, 0)
    assert float(weights @ x.square().sum(1)) == pytest.approx(law.second_moment)
    uniform = 1.7 * torch.rand(200_000, generator=torch.Generator().manual_seed(0)).double()
    area = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    line = torch.zeros(len(uniform), dim).double()
    line[:, 0] = uniform
    mass = law.log_prob(line).exp() * area * uniform ** (dim - 1) * 1.7
    assert float(mass.mean()) == pytest.approx(1, abs=5 * float(mass.std()) / len(uniform) ** 0.5)
    for drawn in (
        law.sample(20_000, dim, torch.Generator().manual_seed(1)),
        nodes(law, "sobol", 4096, dim, 0)[0],
        nodes(law, "sobol", 4095, dim, 0)[0],  # on the line with a node in the middle
    ):
        squares = drawn.square().sum(1)
        error = float(squares.std()) / len(drawn) ** 0.5
        assert abs(float(squares.mean()) - law.second_moment) < 4 * error
        assert float(squares.max()) <= 1.7**2


@pytest.mark.parametrize("rule", ["gauss", "radial", "sobol"])
def test_nodes_of_a_gaussian(rule):
    source = DensitySource(
        {"name": "gaussian", "mean": [1.0, 0.0], "covariance": [[2.0, 0.5], [0.5, 1.0]]},
        rule=rule,
        nodes=1024 if rule == "sobol" else 3,
    )
    data = source.load(0)
    weights = torch.full((len(data.train),), 1 / len(data.train)).double()
    weights = weights if data.weights is None else data.weights[0]
    centred = data.train - weights @ data.train
    covariance = centred.T @ (weights[:, None] * centred)
    tolerance = 2e-2 if rule == "sobol" else 1e-12
    assert torch.allclose(
        covariance, torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double(), atol=tolerance
    )


@pytest.mark.parametrize(
    ("name", "source", "objective", "words"),
    [
        ("barenblatt", GaussianSource(), "internal", "starts from Barenblatt's law"),
        ("barenblatt", DensitySource(), {"name": "internal", "m": 3.0}, "make them agree"),
        ("ornstein_uhlenbeck", GaussianSource(), "internal", "no internal energy"),
        ("ornstein_uhlenbeck", GaussianSource(), "renyi_entropy", "does not treat the objective"),
        ("second_moment", GaussianSource(mean=1.0), "entropy", "centred start"),
        ("second_moment", GaussianSource(), KL, r"k \|x\|\^2/2"),
        ("equilibrium", GaussianSource(), "entropy", "needs an objective whose target"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(name, source, objective, words):
    with pytest.raises(wopt.ConfigError, match=words):
        laws(name, source, objective)


def test_an_equilibrium_with_an_edge_is_not_positive():
    to = {"name": "kl", "target": {"name": "barenblatt", "radius": 3.0}}
    assert not laws("equilibrium", GaussianSource(), to).positive
    assert laws("equilibrium", GaussianSource(), "kl").positive


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"law": {"name": "mixture", "means": [[0.0]]}, "rule": "sobol"}, "for the laws gaussian"),
        ({"rule": "gauss"}, "use radial"),
        ({"law": "gaussian", "dim": 12, "rule": "gauss"}, "has 531441 nodes"),
        ({"dim": 3}, "its law has 2"),
    ],
)
def test_starts_that_cannot_be_made(options, words):
    with pytest.raises(wopt.ConfigError, match=words):
        DensitySource(**options).load(0)
