"""What geomloss and POT do badly is refused or explained, and the traps are not stepped into."""

import pytest
import torch

import wopt
from wopt.testing import NormalTarget
from wopt_geomloss import Barycenter, Sinkhorn, Wasserstein
from wopt_geomloss.entropic import plan
from wopt_geomloss.entropic.plan import solve_between, solve_within
from wopt_geomloss.exact import plan as exact

TARGET = NormalTarget([-0.2, 0.4], [[0.6, 0.2], [0.2, 0.9]])
UNSAMPLED = {"name": "potential", "function": lambda x: x.sum(1)}


def particles(n=20, dim=2):
    rng = torch.Generator().manual_seed(4)
    return wopt.Particles(torch.randn(n, dim, dtype=torch.float64, generator=rng))


@pytest.fixture(scope="module")
def pair():
    """Return two measures of different size, both of equal weights."""
    x, y = particles(60).points, particles(80).points.flip(0) * 1.5 + 1
    return (
        x,
        torch.full((60,), 1 / 60, dtype=torch.float64),
        y,
        torch.full((80,), 1 / 80, dtype=torch.float64),
    )


def test_the_gradient_does_not_depend_on_how_geomloss_anneals(monkeypatch, pair):
    """Its own is off by 15 % at the scaling that it starts with here."""
    x, _, y, _ = pair
    found = []
    for scaling in (0.3, 0.9):
        monkeypatch.setattr(plan, "_SCALING", scaling)
        found.append(solve_between(*pair, 1.0, 1e-10, 10_000))
    torch.testing.assert_close(found[0].image, found[1].image, rtol=0, atol=1e-7)
    monkeypatch.setattr(plan, "_SCALING", 0.5)
    _, g = plan._annealed(*pair, 1.0)
    rough = torch.softmax((g - plan.squared_distances(x, y)) / 1.0, dim=1) @ y
    assert float((rough - found[0].image).norm() / (x - found[0].image).norm()) > 0.05


def test_tolerance_bounds_the_error(pair):
    """The gradient's is proportional to it, the value's to its square."""
    best = solve_between(*pair, 0.5, 1e-9, 20_000)
    for tolerance in (1e-2, 1e-3, 1e-4):
        found = solve_between(*pair, 0.5, tolerance, 10_000)
        error = (found.image - best.image).norm() / (pair[0] - best.image).norm()
        assert float(error) < 20 * tolerance
        assert abs(float(found.value - best.value)) < 20 * tolerance**2


def test_entropic_plans_of_a_measure_with_itself_agree_with_the_general_solver():
    x = particles(50).points
    a = torch.linspace(1, 2, 50).double() / 75
    one = solve_within(x, a, 0.5, 1e-11, 1000)
    two = solve_between(x, a, x, a, 0.5, 1e-11, 100_000)
    assert float(one.value) == pytest.approx(float(two.value), rel=1e-9)
    torch.testing.assert_close(one.image, two.image, rtol=0, atol=1e-8)


def test_far_away_and_small_epsilon_underflow_nothing():
    g = Sinkhorn(TARGET, epsilon=0.05, samples=20)
    p = wopt.Particles(particles().points + 1000)
    assert float(g.energy(p)) == pytest.approx(2e6, rel=2e-3)


def test_ten_dimensions():
    """Above three its backend `multiscale` fails."""
    target = NormalTarget([0.0] * 10, torch.eye(10).tolist())
    assert float(Sinkhorn(target, samples=50).energy(particles(50, 10))) > 0


def test_a_backend_is_no_option():
    with pytest.raises(wopt.ConfigError, match=r"unknown option; known: .*tolerance"):
        Sinkhorn(TARGET, backend="multiscale")


def test_no_memory():
    g = Sinkhorn(TARGET, memory=1e-6)
    with pytest.raises(wopt.ConfigError, match=r"batch_size.*n_valid.*samples.*memory"):
        g.energy(particles())


def test_no_convergence():
    g = Sinkhorn(TARGET, epsilon=1e-3, tolerance=1e-9, iterations=3)
    with pytest.raises(wopt.DivergenceError, match=r"larger epsilon.*tolerance.*iterations"):
        g.energy(particles())


def test_a_target_of_one_point_tells_no_epsilon():
    class Point(NormalTarget):
        def sample(self, n, dim, generator):
            return torch.zeros(n, dim, dtype=torch.float64)

    one = Point([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(wopt.DataError, match="positive one"):
        Sinkhorn(one).energy(particles())
    p = particles()
    # To a point all plans are products: |x|^2 less what the entropy takes from OT(rho, rho)/2.
    assert float(Sinkhorn(one, epsilon=1e-3).energy(p)) == pytest.approx(
        float(p.points.square().sum(1).mean()), rel=1e-2
    )


def test_epsilon_is_found_once():
    g, p = Sinkhorn(TARGET, samples=50), particles()
    first, again = (one._temperature(p.points) for one in (g, g.at(5)))
    assert first == again == pytest.approx(0.05 * 2 * 1.5, rel=0.5)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("inf"), "small"])
def test_epsilon_is_positive_or_auto(epsilon):
    with pytest.raises(wopt.ConfigError, match="epsilon"):
        Sinkhorn(TARGET, epsilon=epsilon)


def test_the_simplex_that_does_not_end(monkeypatch):
    monkeypatch.setattr(exact, "_PIVOTS", 3)
    with pytest.raises(wopt.DivergenceError, match=r"fewer points.*sinkhorn"):
        Wasserstein(TARGET, samples=30).energy(particles())


def test_targets_that_cannot_be_sampled():
    for g in (Sinkhorn(UNSAMPLED), Wasserstein(UNSAMPLED)):
        with pytest.raises(wopt.CapabilityError, match="TARGET_SAMPLES"):
            wopt.solve(particles(), objective=g)
    with pytest.raises(wopt.CapabilityError, match="target 2"):
        Barycenter([{"target": TARGET}, {"target": UNSAMPLED}])


def test_targets_of_a_barycenter():
    line = NormalTarget([0.0], [[1.0]])
    with pytest.raises(wopt.ConfigError, match="dimensions 1, 2"):
        Barycenter([{"target": TARGET}, {"target": line}])
    for wrong in ([], [{"target": TARGET, "weight": 0.0}], [{"weight": 1.0}], ["gaussian"]):
        with pytest.raises(wopt.ConfigError, match="targets"):
            Barycenter(wrong)


def test_what_is_known_of_convexity_and_of_the_least_value():
    line = NormalTarget([0.0], [[1.0]])
    assert (Wasserstein(TARGET).convexity, Wasserstein(line).convexity) == (None, 1.0)
    one, two = Barycenter([{"target": line}]), Barycenter([{"target": line}] * 2)
    assert (one.convexity, one.minimum) == (1.0, 0.0)
    assert (two.convexity, two.minimum) == (1.0, None)
    assert Barycenter([{"target": TARGET}] * 2).convexity is None
    assert (Sinkhorn(TARGET).convexity, Sinkhorn(TARGET).minimum) == (None, 0.0)
