"""Exact JKO steps between Gaussians: the closed form itself, and steps that meet it."""

import math

import pytest
import torch
from by_hand import root, w2_squared

import wopt
from wopt.testing import (
    AffineBlock,
    NormalTarget,
    gaussian_kl,
    gaussian_nodes,
    jko_step,
    moments,
)

CASES = ["line", "commuting", "rotated", "five"]


def test_one_dimension_has_the_scalar_formula(gaussians):
    g = gaussians["line"]
    for h in (0.01, 0.5, 7.0):
        m, c = jko_step(g.m, g.c, g.n, g.s, h)
        sigma, s = float(g.c) ** 0.5, float(g.s)
        a = 1 + h / s
        expected = (sigma + math.sqrt(sigma**2 + 4 * a * h)) / (2 * a)
        assert float(c) == pytest.approx(expected**2, rel=1e-12)
        assert float(m) == pytest.approx((float(g.m) + h * float(g.n) / s) / a, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_target_is_the_fixed_point(gaussians, case):
    g = gaussians[case]
    m, c = jko_step(g.n, g.s, g.n, g.s, 0.7)
    torch.testing.assert_close(m, g.n, rtol=0, atol=1e-12)
    torch.testing.assert_close(c, g.s, rtol=0, atol=1e-12)
    m, c = g.m, g.c
    for _ in range(60):
        m, c = jko_step(m, c, g.n, g.s, 2.0)
    assert gaussian_kl(m, c, g.n, g.s) < 1e-12


@pytest.mark.parametrize("case", ["commuting", "rotated"])
def test_the_closed_form_minimises(gaussians, case):
    """Minimise KL + W_2^2/2h over mean and Cholesky factor, which knows nothing of the formula."""
    g, h = gaussians[case], 0.8
    mean = g.m.clone().requires_grad_()
    factor = torch.linalg.cholesky(g.c).contiguous().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [mean, factor],
        max_iter=100,
        tolerance_grad=1e-12,
        tolerance_change=1e-18,
        line_search_fn="strong_wolfe",
    )

    def value(m, c):
        r = m - g.n
        quadratic = torch.trace(torch.linalg.solve(g.s, c)) + r @ torch.linalg.solve(g.s, r)
        return (quadratic - torch.logdet(c)) / 2 + w2_squared(m, c, g.m, g.c) / (2 * h)

    def closure():
        optimiser.zero_grad()
        lower = factor.tril()
        loss = value(mean, lower @ lower.T)
        loss.backward()
        return loss

    for _ in range(3):
        optimiser.step(closure)
        optimiser.state.clear()
    lower = factor.detach().tril()
    m, c = jko_step(g.m, g.c, g.n, g.s, h)
    torch.testing.assert_close(mean.detach(), m, rtol=0, atol=1e-6)
    torch.testing.assert_close(lower @ lower.T, c, rtol=0, atol=1e-6)


def test_kl_between_gaussians(gaussians):
    for g in gaussians.values():
        p = torch.distributions.MultivariateNormal(g.m, g.c)
        q = torch.distributions.MultivariateNormal(g.n, g.s)
        expected = float(torch.distributions.kl_divergence(p, q))
        assert gaussian_kl(g.m, g.c, g.n, g.s) == pytest.approx(expected, rel=1e-12)


def test_nodes_integrate_polynomials(gaussians):
    g = gaussians["line"]
    x = gaussian_nodes(g.m, g.c, order=4)
    m, v = float(g.m), float(g.c)
    sixth = m**6 + 15 * m**4 * v + 45 * m**2 * v**2 + 15 * v**3
    assert float(x.mean(x.points[:, 0] ** 6)) == pytest.approx(sixth, rel=1e-12)
    assert float(x.weights.sum()) == pytest.approx(1, rel=1e-14)
    # And with two nodes the sixth moment is wrong, so the test above can fail.
    y = gaussian_nodes(g.m, g.c, order=2)
    assert float(y.mean(y.points[:, 0] ** 6)) != pytest.approx(sixth, rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_the_affine_block_meets_every_step(gaussians, case):
    g, steps = gaussians[case], [0.5, 2.0, 1.0]
    target = NormalTarget(mean=g.n.tolist(), covariance=g.s.tolist())
    found = wopt.solve(
        gaussian_nodes(g.m, g.c),
        objective={"name": "kl", "target": target},
        scheme={"name": "jko", "step_size": steps},
        block=AffineBlock(len(g.m)),
        solver=wopt.InnerSolver(optimiser="lbfgs", iterations=300),
        stop=wopt.Stop(steps=3),
    )
    assert (found.status, len(found.history)) == ("done", 3)
    m, c = g.m, g.c
    particles = gaussian_nodes(g.m, g.c)
    for block, record, h in zip(found.flow.blocks, found.history, steps, strict=True):
        before = gaussian_kl(m, c, g.n, g.s)
        new_m, new_c = jko_step(m, c, g.n, g.s, h)
        moved = w2_squared(m, c, new_m, new_c)
        m, c = new_m, new_c
        particles = particles.moved(*block(particles.points))
        mean, covariance = moments(particles)
        torch.testing.assert_close(mean, m, rtol=0, atol=1e-6)
        torch.testing.assert_close(covariance, c, rtol=0, atol=1e-6)
        # With the start's density and a normalised target the energy is the divergence itself.
        after = gaussian_kl(m, c, g.n, g.s)
        assert record.energy == pytest.approx(after, abs=1e-6)
        assert record.energy_change == pytest.approx(after - before, abs=1e-6)
        assert record.w2_step == pytest.approx(float(moved) ** 0.5, abs=1e-6)
        expected = after - before + float(moved) / (2 * h)
        assert record.decrease == pytest.approx(expected, abs=1e-6)
        assert record.decrease < 0
        assert record.residual < 1e-5
        assert record.likelihood_error < 1e-12
        assert record.inversion_error < 1e-12
        assert record.retries == 0
        assert sum(record.terms.values()) == pytest.approx(record.energy, abs=1e-12)


def exact_map(m, c, n, s, h):
    """The optimal map from N(m, C) to its JKO step."""
    new_m, new_c = jko_step(m, c, n, s, h)
    half = root(c)
    inverse = torch.linalg.inv(half)
    matrix = inverse @ root(half @ new_c @ half) @ inverse
    return lambda x: (x - m) @ matrix.T + new_m


def ode_step(gaussians, iterations, width):
    """Train the ode block on samples in float32; return moved samples and the exact ones."""
    g, h, n = gaussians["rotated"], 1.0, 2000
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(n, 2, dtype=torch.float64, generator=rng)
    # Standardised samples have the law's mean and covariance, so no sampling error is left.
    z = (z - z.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T, correction=0))).T
    x = z @ torch.linalg.cholesky(g.c).T + g.m
    target = {"name": "gaussian", "mean": g.n.tolist(), "covariance": g.s.tolist()}
    found = wopt.solve(
        wopt.Particles.start(x.float()),
        objective={"name": "kl", "target": target},
        scheme={"name": "jko", "step_size": h},
        block={"name": "ode", "width": width, "sharpness": 2.0, "steps": 2},
        solver=wopt.InnerSolver(iterations=iterations, learning_rate=2e-2, batch_size=500),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done"
    moved = found.state.train.particles.points.double()
    assert found.state.train.particles.points.dtype == torch.float32
    return moved, exact_map(g.m, g.c, g.n, g.s, h)(x)


def compare(moved, exact, tolerance):
    scale = torch.cov(exact.T).diagonal().mean().sqrt()
    mean_gap = (moved.mean(0) - exact.mean(0)).norm() / exact.mean(0).norm()
    covariances = [torch.cov(y.T) for y in (moved, exact)]
    gap = (covariances[0] - covariances[1]).norm() / covariances[1].norm()
    assert float(mean_gap) < tolerance
    assert float(gap) < tolerance
    # The map itself, not only its moments.
    assert float((moved - exact).square().sum(1).mean().sqrt() / scale) < 5 * tolerance


def test_the_ode_block_meets_a_step_to_two_percent(gaussians):
    compare(*ode_step(gaussians, iterations=250, width=16), 0.02)


def test_an_untrained_ode_block_does_not(gaussians):
    with pytest.raises(AssertionError):
        compare(*ode_step(gaussians, iterations=5, width=8), 0.02)
