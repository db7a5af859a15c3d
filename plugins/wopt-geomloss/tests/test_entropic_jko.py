"""JKO steps with entropic transport, against closed forms."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, NormalTarget, moments
from wopt_geomloss.entropic.jko import transport_shares

H = 0.4


def gaussian_grid(mean, deviation, count=161, half=7.0):
    """Return weighted points of N(mean, deviation^2) by the trapezoidal rule."""
    z = torch.linspace(-half, half, count, dtype=torch.float64)
    weights = torch.exp(-z.square() / 2)
    return wopt.Particles.start((mean + deviation * z)[:, None], weights / weights.sum())


def step(particles, scheme, target):
    solution = wopt.solve(
        particles,
        objective=wopt.build("objective", {"name": "kl", "target": target}),
        scheme=scheme,
        block=AffineBlock(particles.dim),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    assert solution.status == "done", solution.reason
    return moments(solution.state.train.particles)


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
@pytest.mark.parametrize("variance", [0.5, 1.3, 2.0])
def test_entropic_step_equals_the_closed_form(epsilon, variance):
    """docs/theory 3.5; the trapezoidal rule is exact to rounding for these smooth plans."""
    h, s, m, n = 0.5, 1.3, 1.0, -0.5
    start = gaussian_grid(m, variance**0.5)
    scheme = wopt.build("scheme", {"name": "entropic_jko", "step_size": h, "epsilon": epsilon})
    mean, covariance = step(start, scheme, NormalTarget([n], [[s]]))
    a = 1 + h / s
    b = 2 * a * h + variance - a * epsilon / 2
    v = (b + (b**2 - 4 * a**2 * (h**2 - epsilon * h / 2)) ** 0.5) / (2 * a**2)
    assert float(mean) == pytest.approx((m + h * n / s) / a, abs=1e-6)
    assert float(covariance) == pytest.approx(v, abs=1e-6)


def test_entropic_fixed_point_is_smaller_than_the_minimiser():
    """docs/theory 3.5: eps = 0.1, h = 0.5, s = 1.3 leads to 1.236."""
    scheme = wopt.build("scheme", {"name": "entropic_jko", "step_size": 0.5, "epsilon": 0.1})
    start = gaussian_grid(0.0, 1.2360**0.5)
    _, covariance = step(start, scheme, NormalTarget([0.0], [[1.3]]))
    assert float(covariance) == pytest.approx(1.2360, abs=1e-3)


def test_the_gradient_is_the_derivative_of_the_value():
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(12, 2, dtype=torch.float64, generator=rng) for _ in "xy")
    y.requires_grad_()

    def value(points):
        return transport_shares(x, wopt.Particles(points), 0.3).mean()

    (slope,) = torch.autograd.grad(value(y), y)
    with torch.no_grad():
        e = torch.zeros_like(y)
        e[3, 1] = 1e-4
        numeric = (value(y + e) - value(y - e)) / 2e-4
    assert float(slope[3, 1]) == pytest.approx(float(numeric), abs=1e-7)


def test_weightless_anchors_count_for_nothing():
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(12, 2, dtype=torch.float64, generator=rng) for _ in "xy")
    weights = torch.full((12,), 1 / 8, dtype=torch.float64)
    weights[8:] = 0
    shares = transport_shares(x, wopt.Particles.start(y, weights), 0.3)
    expected = transport_shares(x[:8], wopt.Particles(y[:8]), 0.3)
    torch.testing.assert_close(shares[:8], expected, atol=1e-4, rtol=0)


def test_a_step_pays_group_by_group():
    """In groups of 16, 16 and 8 particles."""
    rng = torch.Generator().manual_seed(0)
    x = wopt.Particles.start(torch.randn(40, 2, dtype=torch.float64, generator=rng))
    block = AffineBlock(2).double()
    with torch.no_grad():
        block.matrix.copy_(torch.tensor([[1.2, -0.3], [0.1, 0.8]]))
    kl = wopt.build("objective", "kl")
    scheme = {"name": "entropic_jko", "step_size": H, "epsilon": 0.3, "rows": 16}
    history = wopt.History(x, None, None, 0, H, None)
    sub = wopt.build("scheme", scheme).subproblem(history, kl)
    y = block.move(x.points)
    groups = [slice(k, k + 16) for k in (0, 16, 32)]
    shares = [transport_shares(x.points[g], wopt.Particles(y[g]), 0.3) for g in groups]
    expected = kl.energy(x.moved(*block(x.points))) + torch.cat(shares).mean() / (2 * H)
    torch.testing.assert_close(sub.loss(block), expected)
    assert sub.gradient(kl, x) is None


def test_a_plan_that_does_not_converge_is_told():
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(200, 2, dtype=torch.float64, generator=rng) for _ in "xy")
    with pytest.raises(wopt.DivergenceError, match=r"entropic_jko: .* Use a larger epsilon"):
        transport_shares(x, wopt.Particles(y), 1e-4)
