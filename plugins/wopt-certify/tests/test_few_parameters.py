"""Challengers with few parameters, and what they learn while they are judged, by closed forms."""

import math

import pytest
import torch

from wopt.particles import Particles
from wopt.stein import SteinForm
from wopt.testing import GaussianTarget, gaussian_kl
from wopt_certify.challenge import ChallengeRows, EscalationOptions, best_estimate, challenge
from wopt_certify.challenge import plan as planning
from wopt_certify.challenge.conditional import PolynomialRegression
from wopt_certify.challenge.elliptical import Elliptical, Gaussians, Student
from wopt_certify.challenge.judge import _parts, judge_in_turn
from wopt_certify.challenge.rows import Challenger, Stack, ratios
from wopt_certify.challenge.tree import Tree, TurnedTree
from wopt_certify.fields import RadialField
from wopt_measures.laws.bent import FunnelLaw
from wopt_measures.laws.known import known_laws
from wopt_measures.laws.spheres import ShellLaw, StudentLaw


def standard(dim):
    return GaussianTarget([0.0] * dim, torch.eye(dim).tolist())


def rows_of(x):
    """Return rows of the model N(0, I) with no map at all."""
    return ChallengeRows.of(standard(x.shape[1]), x, Particles.start(x))


def drawn(law, sizes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [law.sample(n, law.dim, rng) for n in sizes]


def kl_of_shell(dim, radius, scale):
    """KL(shell | N(0, I)) = E log f(r)/chi_d(r), the radius r from N(radius, scale^2)."""
    r = radius + scale * torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weights = (-((r - radius) / scale).square() / 2).exp()
    weights = weights / weights.sum()
    log_f = -((r - radius) / scale).square() / 2 - math.log(scale * math.sqrt(2 * math.pi))
    log_chi = (1 - dim / 2) * math.log(2) - math.lgamma(dim / 2) + (dim - 1) * r.log() - r**2 / 2
    return float(weights @ (log_f - log_chi))


# --- normalised ----------------------------------------------------------------------------------


def made(name, fit, hold):
    if name == "spheres":
        return Elliptical.best(fit, hold)
    if name == "ellipsoids":
        return Elliptical.best(fit, hold, Student.best(fit, hold))
    return TurnedTree(fit, hold, 0) if name == "turned tree" else Student.best(fit, hold)


@pytest.mark.parametrize("name", ["spheres", "ellipsoids", "turned tree", "Student"])
def test_they_integrate_to_one_and_so_they_do_fitted_anew(name):
    """A density that integrates to more could be above the truth: the midpoint rule on a square."""
    x = known_laws()["student-2"].sample(900, 2, torch.Generator().manual_seed(0))
    density = made(name, x[:400], x[400:600])
    side = torch.arange(-40, 40, 0.1, dtype=torch.float64) + 0.05
    grid = torch.cartesian_prod(side, side)
    for one in (density, density.refit(x)):
        total = sum(float(one(part).exp().sum()) for part in grid.split(100_000)) * 0.1**2
        assert total == pytest.approx(1.0, abs=0.01)


def test_a_curve_is_a_conditional_density():
    """The integral over x_2 given x_1 is one at every x_1, far from the rows too."""
    x = known_laws()["funnel-2"].sample(500, 2, torch.Generator().manual_seed(0))
    curve = PolynomialRegression.of(x, 0, [1])
    y = torch.linspace(-60, 60, 6001, dtype=torch.float64)
    for at in (-5.0, -1.0, 0.0, 2.0, 9.0):
        points = torch.stack([torch.full_like(y, at), y], dim=1)
        assert float(curve.given(points).exp().sum()) * 0.02 == pytest.approx(1.0, abs=1e-3)


# --- what they see -------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "radius", "scale"), [(20, 4.4, 0.4), (10, 3.0, 0.3)])
def test_thin_shells_are_seen(dim, radius, scale):
    true = kl_of_shell(dim, radius, scale)
    rows = [rows_of(x) for x in drawn(ShellLaw(dim, radius, scale), (1500, 500, 3000))]
    side = challenge(standard(dim), *rows, EscalationOptions(None, budget=4.0))
    assert 0.75 * true < side.low < true
    assert abs(side.value - true) < 5 * side.error + 0.02
    assert "spheres" in side.by


def test_nothing_is_learned_of_a_radius_that_is_right():
    """N(0, I) in 20 dimensions from 1500 rows: less than 0.003 nats are lost to noise."""
    x = torch.randn(6000, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = Elliptical.best(x[:1500], x[1500:2000])
    lost = float((rows_of(x[2000:]).views["noise"].log_model - density(x[2000:])).mean())
    assert -0.001 < lost < 0.003


def test_the_degrees_of_freedom_are_those_of_the_law():
    law = StudentLaw(10, 5)
    fit, hold, fresh = drawn(law, (3000, 1000, 3000))
    density = Student.best(fit, hold)
    assert density.freedom == 5.0
    # 66 parameters from 3000 rows lose 66/6000 = 0.011.
    assert 0.0 < float((law.log_prob(fresh) - density(fresh)).mean()) < 0.03


def test_a_funnel_is_a_tree_of_curves():
    law = FunnelLaw(6, 1.0)
    fit, hold, fresh = drawn(law, (3000, 1000, 4000))
    tree = Tree(fit, hold)
    assert tree.root == 0
    assert 0.0 < float((law.log_prob(fresh) - tree(fresh)).mean()) < 0.03


def test_independent_components_are_found():
    """Five heavy-tailed components, turned: the product of their own laws is the density."""
    rng = torch.Generator().manual_seed(1)
    s = torch.distributions.Laplace(0.0, 1.0).icdf(torch.rand(6000, 5, generator=rng).double())
    turned, _ = torch.linalg.qr(torch.randn(5, 5, generator=rng, dtype=torch.float64))
    x = s @ turned.T
    entropy = 5 * (1 + math.log(2))
    turned_gap, plain_gap = (
        float(density(x[5000:]).mean()) + entropy
        for density in (TurnedTree(x[:4000], x[4000:5000], 0), Tree(x[:4000], x[4000:5000]))
    )
    assert turned_gap > plain_gap + 0.05
    assert turned_gap == pytest.approx(0.0, abs=0.12)


# --- learning while judged -----------------------------------------------------------------------


def fitted_gaussian(n, dim, seed=0):
    """Return rows whitened by n of them, and KL of the model N(0, I) in closed form."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n + 9000, dim, generator=rng, dtype=torch.float64)
    mean, factor = x[:n].mean(0), torch.linalg.cholesky(torch.cov(x[:n].T, correction=0))
    white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False).T
    inverse = torch.linalg.inv(factor)
    eye = torch.eye(dim, dtype=torch.float64)
    true = gaussian_kl(-(inverse @ mean), inverse @ inverse.T, mean.new_zeros(dim), eye)
    return white.split([n, 1000, 8000]), float(true)


def test_an_error_as_small_as_a_fits_own_is_seen(monkeypatch):
    """The rows that fitted the model say nothing of its error; those that judge do."""
    monkeypatch.setattr(planning, "_probe", lambda: planning._PROBE)  # counts of a known machine
    rows, true = fitted_gaussian(1500, 10)
    assert true == pytest.approx(65 / 3000, rel=0.35)
    side = challenge(standard(10), *map(rows_of, rows), EscalationOptions(None, budget=6.0))
    before, after = side.escalation[-2:]
    assert after.name == "learning while judged"
    assert after.gain > before.gain + 0.2 * true
    assert 0.3 * true < side.low < true
    assert abs(best_estimate(side).value - true) < abs(side.value - true)


def test_what_judges_a_row_depends_on_earlier_rows_alone():
    """Values of the rows that come first stay as they are, whatever comes later."""
    law = ShellLaw(3, 2.0, 0.3)
    fit, hold, judge = (rows_of(x) for x in drawn(law, (400, 200, 400)))
    x = fit.views["noise"].points
    made = (
        Challenger("spheres", "noise", Elliptical.best(x, hold.views["noise"].points)),
        Challenger("Gaussians", "noise", Gaussians.best(x, hold.views["noise"].points, 0)),
    )
    stack = Stack.fit([c.name for c in made], ratios(made, hold))
    before = judge_in_turn(made, stack, (fit, hold), judge, seed=3)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(3))
    late = order[200:]
    other = judge.views["noise"].points.clone()
    other[late] = 0.1 * other[late]
    after = judge_in_turn(made, stack, (fit, hold), rows_of(other), seed=3)
    assert torch.equal(before.values[order[:200]], after.values[order[:200]])
    assert not torch.allclose(before.values[late], after.values[late])
    assert float(before.values.min()) >= before.floor
    assert float(after.values.min()) >= after.floor
    assert before.seconds is not None


def test_a_group_is_judged_in_one_part():
    """Copies of a row must not teach what judges the other copies."""
    groups = torch.randint(40, (500,), generator=torch.Generator().manual_seed(0))
    parts = _parts(500, groups, 0)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(500))
    reported = [set(groups[part].tolist()) for part in parts]
    assert sum(len(some) for some in reported) == len(set(groups.tolist()))


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "sizes"), [(4, (400, 200, 500)), (12, (600, 300, 600))])
def test_exact_models_are_not_accused_while_challengers_learn(dim, sizes):
    """Under the null, at most 5 % + 2 standard errors of 25 challenges (3) may find L > 0."""
    accused = 0
    for seed in range(25):
        rng = torch.Generator().manual_seed(1000 * dim + seed)
        rows = [rows_of(torch.randn(n, dim, generator=rng).double()) for n in sizes]
        accused += (
            challenge(standard(dim), *rows, EscalationOptions(None, budget=2.0, seed=seed)).low > 0
        )
    assert accused <= 25 * 0.05 + 2 * math.sqrt(25 * 0.05 * 0.95)


# --- radial test fields --------------------------------------------------------------------------


def test_a_radial_field_sees_what_a_shell_is():
    """xi = grad log p - grad log q is radial: (r - (d - 1)/r - (r - R)/s^2) y/r, R = 4.4."""
    dim, radius, scale = 20, 4.4, 0.4
    fit, validation, fresh = drawn(ShellLaw(dim, radius, scale), (3000, 1500, 6000))
    forms = [SteinForm(y, y, -torch.ones(len(y)).double(), None) for y in (fit, validation, fresh)]
    phi, divergence = RadialField(*forms[:2])(fresh)
    size, error = forms[2].size(phi, divergence)
    r = fresh.norm(dim=1)
    true = float((r - (dim - 1) / r - (r - radius) / scale**2).square().mean().sqrt())
    assert 0.85 * true < size < true + 4 * error
    assert size**2 / 2 > kl_of_shell(dim, radius, scale)


def test_the_divergence_of_a_radial_field_is_its_own():
    y = drawn(StudentLaw(4, 5), (1500,))[0]
    form = SteinForm(y, y, -torch.ones(len(y)).double(), None)
    field = RadialField(form, form)
    assert float(field.coefficients.abs().max()) > 0
    h, points, total = 1e-5, y[:50], torch.zeros(50, dtype=torch.float64)
    for j in range(4):
        step = h * torch.eye(4, dtype=torch.float64)[j]
        total += (field(points + step)[0] - field(points - step)[0])[:, j] / (2 * h)
    assert torch.allclose(total, field(points)[1], atol=1e-6)


def test_a_radial_field_leaves_conditions_alone():
    y = drawn(StudentLaw(3, 5), (500,))[0]
    form = SteinForm(y, y, -torch.ones(len(y)).double(), None, condition=1)
    phi, _ = RadialField(form, form)(y)
    assert phi.shape == y.shape
    assert float(phi[:, 2].abs().max()) == 0.0
