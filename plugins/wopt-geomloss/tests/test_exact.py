"""Exact plans: sorting against the simplex, and known JKO steps (docs/theory 2.2)."""

import pytest
import torch

import wopt
from wopt.testing import NormalTarget, moments
from wopt_geomloss import Barycenter, Wasserstein
from wopt_geomloss.exact.plan import exact_plan

H = 0.4


def measures(seed, n, m):
    """Return weighted points on the line with ties, and a point of no weight."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(9, (n, 1), generator=rng).double()
    y = torch.randint(9, (m, 1), generator=rng).double() + 0.5
    a, b = (torch.rand(k, dtype=torch.float64, generator=rng) for k in (n, m))
    a[3] = 0
    return x, a / a.sum(), y, b / b.sum()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m"), [(12, 12), (7, 30), (30, 7)])
def test_sorting_agrees_with_the_simplex(seed, n, m):
    x, a, y, b = measures(seed, n, m)
    flat = [torch.cat([points, torch.zeros_like(points)], dim=1) for points in (x, y)]
    line, plane = exact_plan(x, a, y, b), exact_plan(flat[0], a, flat[1], b)
    assert float(line.value) == pytest.approx(float(plane.value), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dim", [1, 2])
def test_the_potential_is_optimal_in_the_dual(seed, dim):
    """With its c-transform the potential is a dual solution, so it attains the value."""
    x, a, y, b = measures(seed, 12, 9)
    if dim == 2:
        x, y = (torch.cat([points, points.flip(0).cos()], dim=1) for points in (x, y))
    plan = exact_plan(x, a, y, b)
    cost = torch.cdist(x, y).square() / 2
    carried = a > 0  # a point of no weight has no say
    other = (cost - plan.potential[:, None])[carried].min(0)[0]
    dual = a @ plan.potential + b @ other
    assert float(dual) == pytest.approx(float(plan.value), rel=1e-9)


def test_on_the_line_the_plan_is_sorting(tools):
    x, y = tools.skewed(50, 1), tools.skewed(50, 1, seed=3) + 2
    plan = exact_plan(
        x,
        torch.full((50,), 0.02, dtype=torch.float64),
        y,
        torch.full((50,), 0.02, dtype=torch.float64),
    )
    sorted_y = y.sort(0)[0][x[:, 0].argsort().argsort()]
    torch.testing.assert_close(plan.image, sorted_y, rtol=0, atol=1e-12)
    assert float(plan.value) == pytest.approx(float((x - sorted_y).square().mean()) / 2)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_jko_step_is_on_the_geodesic(tools, step, dim):
    """T(x) = (x + h T_q(x))/(1 + h): the geodesic to q at h/(1 + h)."""
    x, y = tools.skewed(30, dim), 1.5 * tools.skewed(30, dim, seed=5) + 1
    equal = torch.full((30,), 1 / 30, dtype=torch.float64)
    image = exact_plan(x, equal, y, equal).image
    found = step(Wasserstein(tools.fixed(y), samples=30), wopt.Particles(x), H).points
    torch.testing.assert_close(found, (x + H * image) / (1 + H), rtol=0, atol=1e-7)


def test_the_jko_step_to_a_barycenter_on_the_line(tools, step):
    """Quantile by quantile: X+ = (X + h sum_i w_i Y_i)/(1 + h)."""
    x, y, z = (tools.skewed(30, 1, seed=seed).sort(0)[0] for seed in (2, 3, 4))
    targets = [
        {"target": tools.fixed(y), "weight": 1.0},
        {"target": tools.fixed(2 * z + 1), "weight": 3.0},
    ]
    found = step(Barycenter(targets, samples=30), wopt.Particles(x), H).points
    exact = (x + H * (0.25 * y + 0.75 * (2 * z + 1))) / (1 + H)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-7)


def test_a_trained_flow_makes_that_step_between_gaussians(tools):
    """The ode block, trained on batches with fresh samples, moves the held-out mean and spread."""
    found = wopt.solve(
        wopt.Particles.start(tools.grid(torch.zeros(2).double(), torch.eye(2).double(), 20)),
        objective=Wasserstein(NormalTarget([2.0, 0.0], [[4.0, 0.0], [0.0, 0.25]]), samples=100),
        scheme={"name": "jko", "step_size": 1.0},
        block={"name": "ode", "width": 16, "steps": 2},
        solver=wopt.InnerSolver(iterations=120, batch_size=100, learning_rate=1e-2),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    mean, covariance = moments(found.state.train.particles)
    # Half way: the mean of the means, and of the standard deviations.
    torch.testing.assert_close(mean, torch.tensor([1.0, 0.0]).double(), rtol=0, atol=0.1)
    spread = covariance.diagonal().sqrt()
    torch.testing.assert_close(spread, torch.tensor([1.5, 0.75]).double(), rtol=0, atol=0.1)


def test_half_w2_is_not_geodesically_convex_in_the_plane():
    """Two atoms that pass the target's two: half way the energy can be above the chord."""
    equal = torch.full((2,), 0.5, dtype=torch.float64)
    worst = -1.0
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        target, start, end = (torch.randn(2, 2, dtype=torch.float64, generator=rng) for _ in "abc")
        end = exact_plan(start, equal, end, equal).image  # so that the segments are a geodesic
        energies = [
            float(exact_plan((1 - t) * start + t * end, equal, target, equal).value)
            for t in (0.0, 0.5, 1.0)
        ]
        length = float((start - end).square().sum(1).mean())
        worst = max(worst, (energies[1] - (energies[0] + energies[2]) / 2) / length)
    assert worst > 0
