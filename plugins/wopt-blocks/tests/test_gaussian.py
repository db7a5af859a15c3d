"""JKO steps between Gaussians: the blocks meet the closed form (docs/theory 3.1)."""

import pytest
import torch

import wopt
from wopt import History
from wopt.testing import gaussian_nodes, gaussian_problems, jko_step, moments

H = 0.7
PROBLEMS = ["line", "commuting", "rotated", "five"]


def solved(problem, particles, block, scheme="jko", h=H, **options):
    found = wopt.solve(
        particles,
        objective=problem.objective(),
        scheme={"name": scheme, "step_size": h, **options},
        block=block,
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    return found


@pytest.mark.parametrize("options", [{}, {"symmetric": True}], ids=["free", "symmetric"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_affine_makes_the_exact_step(name, options):
    """To 1e-12 in float64; the free map too ends as the optimal, so symmetric, one."""
    p = gaussian_problems()[name]
    found = solved(p, p.nodes(), {"name": "affine", **options})
    mean, covariance = moments(found.state.train.particles)
    exact = jko_step(p.m, p.c, p.n, p.s, H)
    torch.testing.assert_close((mean, covariance), exact, rtol=0, atol=1e-12)
    slope = found.state.block.slope()
    torch.testing.assert_close(slope, slope.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("jko", {"transport": "action"}),
        ("midpoint", {}),
        ("explicit", {}),
    ],
)
def test_affine_makes_other_exact_steps(scheme, options):
    p, h = gaussian_problems()["rotated"], 0.3  # explicit steps are stable up to 0.62
    block = {"name": "affine", "symmetric": scheme == "jko"}
    y = solved(p, p.nodes(), block, scheme, h, **options).state.train.particles.points
    x = p.labels()
    expected = {
        "jko": lambda: p.prox(x, h),
        "midpoint": lambda: 2 * p.prox(x, h / 2) - x,
        "explicit": lambda: x - h * p.gradient(x),
    }[scheme]()
    torch.testing.assert_close(y, p.placed(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "order", "moment_error", "map_error"),
    [("line", 20, 1e-6, 2e-4), ("rotated", 12, 1e-5, 2e-3)],
)
def test_icnn_reaches_the_exact_step(name, order, moment_error, map_error):
    """From the identity, by the solver; the map is found within the square root of its loss."""
    p = gaussian_problems()[name]
    block = {"name": "icnn", "width": 8, "sharpness": 1.0}
    found = solved(p, gaussian_nodes(p.m, p.c, order=order), block)
    after = found.state.train.particles
    exact = jko_step(p.m, p.c, p.n, p.s, H)
    torch.testing.assert_close(moments(after), exact, rtol=0, atol=moment_error)
    x, y = p.labels(), p.prox(p.labels(), H)
    slope = y[:, 1:] @ torch.linalg.inv(x[:, 1:])
    expected = y[:, 0] + (gaussian_nodes(p.m, p.c, order=order).points - p.m) @ slope.T
    off = after.mean((after.points - expected).square().sum(1)).sqrt()
    assert float(off) < map_error < 0.01 * found.history[0].w2_step


@pytest.mark.parametrize("table", [{"name": "icnn", "sharpness": 1.0}, {"name": "affine"}])
@pytest.mark.parametrize(("name", "order"), [("line", 40), ("rotated", 24)])
def test_the_exact_step_is_stationary_in_every_parameter(table, name, order, new):
    """The loss's gradient vanishes at the Brenier map of the step, to 1e-9, and not beside it."""
    p = gaussian_problems()[name]
    x, y = p.labels(), p.prox(p.labels(), H)
    slope = y[:, 1:] @ torch.linalg.inv(x[:, 1:])
    values, vectors = torch.linalg.eigh((slope + slope.T) / 2)
    log = (vectors * values.log()) @ vectors.T
    block = new(table | ({"width": 8} if table["name"] == "icnn" else {}), p.dim)
    with torch.no_grad():
        (block.stretch if table["name"] == "icnn" else block.generator).copy_(
            log / 2 if table["name"] == "icnn" else log
        )
        block.shift.copy_(y[:, 0] - slope @ p.m)
    particles = gaussian_nodes(p.m, p.c, order=order)
    scheme = wopt.build("scheme", {"name": "jko", "step_size": H})

    def largest_slope(h):
        sub = scheme.subproblem(History(particles, None, None, 0, h, None), p.objective())
        block.zero_grad()
        sub.loss(block).backward()
        return max(float(q.grad.abs().max()) for q in block.parameters())

    assert largest_slope(H) < 1e-9
    assert largest_slope(1.1 * H) > 1e-3
