"""Start, smoothing, total variation, optimality: closed forms between Gaussians and of Diracs."""

import math

import numpy as np
import pytest

from wopt import UserError
from wopt_certify import bounds

RNG = np.random.default_rng(1)


def power(matrix, exponent):
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values**exponent @ vectors.T


def w2(m, c, n, s):
    half = power(c, 0.5)
    a = np.linalg.solve(half, np.linalg.solve(half, power(half @ s @ half, 0.5)).T) - np.eye(len(m))
    return math.sqrt(np.square(m - n).sum() + max(np.trace(a @ c @ a.T), 0))


def kl(m, c, n, s):
    ratio = np.linalg.eigvals(np.linalg.solve(s, c)).real
    r = m - n
    return float((ratio - 1 - np.log(ratio)).sum() + r @ np.linalg.solve(s, r)) / 2


def gaussian(d, spread=1.0):
    root = np.eye(d) + spread * RNG.standard_normal((d, d)) / d
    return 2 * RNG.standard_normal(d), root @ root.T + 0.01 * np.eye(d)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_independent_coupling_bounds_the_start(d):
    for _ in range(50):
        (m, c), (n, s) = gaussian(d), gaussian(d)
        moments = m @ m + np.trace(c), n @ n + np.trace(s)
        close = bounds.start_distance(*moments, m, n)
        far = bounds.start_distance(*moments)
        assert w2(m, c, n, s) <= close
        assert close**2 == pytest.approx(far**2 - 2 * m @ n, rel=1e-9)
    assert math.isnan(bounds.start_distance(math.nan, 1.0))
    # One of the two a Dirac: there is no other coupling.
    assert bounds.start_distance(9.0, 1.0, mean=[3.0], target_mean=[0.0]) == pytest.approx(10**0.5)


@pytest.mark.parametrize("delta", [1e-4, 0.1, 1.0, 4.0])
def test_diracs_attain_the_bounds_of_smoothing(delta):
    x = np.array([1.5, -2.0, 0.3])
    noise = 1 - math.exp(-2 * delta)
    square = ((1 - math.exp(-delta)) ** 2) * (x @ x) + 3 * noise  # |x - e^-delta x - noise Z|^2
    assert bounds.smoothing_distance(x @ x, 3, delta) == pytest.approx(square**0.5, rel=1e-11)
    true = kl(math.exp(-delta) * x, noise * np.eye(3), np.zeros(3), np.eye(3))
    assert bounds.smoothed_kl(x @ x, 3, delta) == pytest.approx(true, rel=1e-9)
    assert true <= bounds.smoothed_kl_from_distance((x @ x + 3) ** 0.5, delta)


@pytest.mark.parametrize("d", [1, 3])
def test_gaussians_do_not_violate_the_bounds_of_smoothing(d):
    closest = 0.0
    for _ in range(200):
        (m, c), delta = gaussian(d), float(np.exp(RNG.uniform(-5, 1.5)))
        shrink, noise = math.exp(-delta), 1 - math.exp(-2 * delta)
        after = shrink * m, shrink**2 * c + noise * np.eye(d)
        moment = float(m @ m + np.trace(c))
        rest = np.zeros(d), np.eye(d)
        true, start = kl(*after, *rest), w2(m, c, *rest)
        assert w2(m, c, *after) <= bounds.smoothing_distance(moment, d, delta)
        assert true <= bounds.smoothed_kl(moment, d, delta)
        assert true <= bounds.smoothed_kl_from_distance(start, delta) * (1 + 1e-9)
        closest = max(closest, true / bounds.smoothed_kl_from_distance(start, delta))
    assert closest > 0.95


def test_total_variation_of_bernoulli_laws():
    p, q = np.meshgrid(np.linspace(0, 1, 401), np.linspace(0, 1, 401)[1:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = sum(np.where(a > 0, a * np.log(a / b), 0) for a, b in ((p, q), (1 - p, 1 - q)))
    away = p != q
    ratio = (np.abs(p - q) / np.where(away, bounds.tv(np.maximum(divergence, 0)), 1))[away]
    assert ratio.max() <= 1 + 1e-9
    assert ratio[divergence[away] < 1e-3].max() > 0.999  # Pinsker
    assert ratio[divergence[away] > 5].max() > 0.998  # Bretagnolle and Huber
    assert bounds.tv(1.0) == pytest.approx(0.5**0.5)
    assert bounds.tv(4.0) == pytest.approx((1 - math.exp(-4)) ** 0.5)


def affine(d, spread):
    return np.eye(d) + spread * RNG.standard_normal((d, d)) / d, RNG.standard_normal(d)


def test_a_map_that_is_not_optimal_costs_no_more():
    """Between Gaussians every A with A C A^T = C' is a map; the optimal one is symmetric."""
    d, h, closest = 3, 0.7, 0.0
    for _ in range(200):
        (m, c), (n, s), (m1, _) = gaussian(d, 0.7), gaussian(d, 0.7), gaussian(d)
        turn = np.linalg.qr(np.eye(d) + 0.3 * RNG.standard_normal((d, d)))[0]
        turn = turn * np.sign(np.diag(turn))
        half, precision = power(c, 0.5), np.linalg.inv(s)
        best, _ = affine(d, 0.3)
        best = best @ best.T + 0.1 * np.eye(d)
        c1 = best @ c @ best
        block = power(c1, 0.5) @ turn @ np.linalg.inv(half)
        np.testing.assert_allclose(block @ c @ block.T, c1, atol=1e-8)
        moved = [np.trace((a - np.eye(d)) @ c @ (a - np.eye(d)).T) for a in (block, best)]
        gap, lipschitz = moved[0] - moved[1], np.linalg.norm(np.linalg.inv(best), 2)
        shift = precision @ (m1 - n) - (m - m1) / h

        def norm(a, shift=shift, precision=precision, c1=c1):
            slope = precision - np.linalg.inv(c1) - (np.linalg.inv(a) - np.eye(d)) / h
            return math.sqrt(shift @ shift + np.trace(slope @ c1 @ slope.T))

        assert norm(best) <= bounds.optimal_residual(norm(block), gap, h, lipschitz) * (1 + 1e-9)
        distances = np.linalg.inv(block) - np.linalg.inv(best)
        distances = math.sqrt(np.trace(distances @ c1 @ distances.T)) / h
        bound = bounds.optimal_residual(0.0, gap, h, lipschitz)
        assert distances <= bound * (1 + 1e-6)
        closest = max(closest, distances / bound)
    assert closest > 0.7
    # A rotation of N(0, I): gap = E|x - R x|^2, and the inverses differ by just that.
    gap = 2 * 2 * (1 - math.cos(0.4))
    assert bounds.optimal_residual(0.0, gap, h, 1.0) == pytest.approx(gap**0.5 / h, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bounds.smoothing_distance(1.0, 2, 0.0), "delta"),
        (lambda: bounds.smoothed_kl(1.0, 2, -1.0), "delta"),
        (lambda: bounds.smoothed_kl_from_distance(1.0, 0.0), "delta"),
        (lambda: bounds.optimal_residual(0.1, -0.1, 1.0, 1.0), "not negative"),
    ],
)
def test_conditions_are_checked(call, says):
    with pytest.raises(UserError, match=says):
        call()
