"""Bounds of steps: attained where the theory says so, and recomputed by other means elsewhere."""

import math

import numpy as np
import pytest

from wopt import UserError
from wopt_certify import bounds

RNG = np.random.default_rng(0)
H, LAM, EPS = (np.exp(RNG.uniform(-3, 2, 500)) for _ in range(3))
START = EPS / LAM * np.exp(RNG.uniform(0.1, 4, 500))  # above the floor
STEPS = H[None], EPS[None], LAM


def close(a, b, rel=1e-12):
    np.testing.assert_allclose(a, b, rtol=rel, atol=0)


def test_theorem_s_allows_a_negative_lambda():
    lam, h, eps = -0.5, 0.8, 0.1
    close(bounds.theorem_s(1.0, [h], [eps], lam), (1.0 + h * eps) / 0.6)


def test_theorem_p_below_the_floor():
    y = EPS * RNG.uniform(0, 1, EPS.shape)
    expected = (y**2 + H * LAM * EPS**2) / (1 + H * LAM)
    found = bounds.theorem_p(y**2 / (2 * LAM), *STEPS)[0]
    close(found, expected / (2 * LAM))
    # max{eps, .} would be weaker here, and only here.
    assert np.all(found < EPS**2 / (2 * LAM))


def test_theorem_p_solves_its_inequality_with_another_constant():
    mu, lam = 3 * LAM, -0.5 / H
    gap = np.exp(RNG.uniform(-3, 3, 500))
    e = bounds.theorem_p(gap, H[None], EPS[None], lam, mu)[0]
    over = np.maximum(np.sqrt(2 * mu * e) - EPS, 0)
    close(e + H / 2 * over**2, gap / (1 + H * mu) + H * EPS**2 / (2 * (1 + H * lam)), 1e-9)


def test_a_dirac_attains_theorem_s_gap():
    """G = c|x| + lambda x^2/2 with c = (|x| + h eps)/(h (2 + h lambda)), from x > 0."""
    pull = START + H * EPS
    c = pull / (H * (2 + H * LAM))
    end = (pull - H * c) / (1 + H * LAM)
    assert np.all(end > 0)
    close(bounds.theorem_s_gap(START, *STEPS)[0], c * end + LAM * end**2 / 2)


def test_a_priori_starts_from_the_distance():
    h, eps = np.full((4, 500), H), np.full((4, 500), EPS)
    first = (START + H * EPS) ** 2 / (2 * H * (2 + H * LAM))
    found = bounds.a_priori(START, h, eps, LAM)
    close(found[0], first)
    close(found[1:], bounds.theorem_p(first, h[1:], eps[1:], LAM))
    assert bounds.a_priori(1.0, [], [], 1.0).shape == (0,)


def test_the_paper_has_its_limits_and_its_closed_form():
    h, lam, eps, w, n = 0.6, 0.8, 0.3, 4.0, 25
    found = bounds.paper_distance(w, [h] * n, eps, lam)
    rate = 1 / (1 + h * lam / 2)
    powers = rate ** np.arange(1, n + 1)
    close(found**2, powers * w**2 + 4 * eps**2 / lam**2 * (1 - powers))
    assert np.all(found**2 < powers * w**2 + 4 * eps**2 / lam**2)
    gap = bounds.paper_gap(w, [h] * n, eps, lam)
    close(gap[1:], found[:-1] ** 2 / (2 * h) + eps**2 / lam)
    close(gap[0], w**2 / (2 * h) + eps**2 / lam)


def test_convex_bounds_by_plain_sums():
    h, eps, w = RNG.uniform(0.1, 2, 7), RNG.uniform(0, 0.5, 7), 3.0
    for n in range(1, 8):
        drift = sum(h[k] * eps[k] for k in range(n))
        squares = sum((h[k] * eps[k]) ** 2 for k in range(n))
        mean = ((w + drift) ** 2 + squares) / (2 * sum(h[:n]))
        rise = sum(h[j] * eps[j] ** 2 / 2 * sum(h[:j]) for j in range(n)) / sum(h[:n])
        assert bounds.convex_last(w, h, eps)[n - 1] == pytest.approx(mean + rise, rel=1e-13)


def test_forward_backward_by_the_roots_of_its_quadratic():
    w, h, eps, lam = 2.0, 0.4, 0.3, 0.9
    found = bounds.forward_backward(w, [h], [eps], lam, 2.0)
    right = (1 - h * lam) * w**2
    farthest = max(np.roots([1 + h * lam, -2 * h * eps, -right]))
    close(found.w2, farthest)
    a = np.linspace(0, 5, 500_001)
    most = np.max(right + 2 * h * eps * a - a**2) / (2 * h)
    close(found.kl, most, 1e-9)


def test_forward_backward_of_two_quadratics_is_not_violated():
    """f = lam x^2/2, H = rest x^2/2, Diracs."""
    rest = np.exp(RNG.uniform(-3, 1, 500))
    h = H / (H + 1) / LAM
    base = (1 - h * LAM) * START
    end = (base + h * EPS) / (1 + h * rest)
    found = bounds.forward_backward(START, h[None], EPS[None], LAM, LAM)
    assert np.all(end <= found.w2[0] * (1 + 1e-12))
    assert np.all((LAM + rest) * end**2 / 2 <= found.kl[0] * (1 + 1e-12))


def test_unknown_errors_stay_unknown():
    found = bounds.theorem_p(2.0, [1.0, 1.0, 1.0], [0.1, math.nan, 0.1], 1.0)
    assert np.isnan(found).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bounds.theorem_s(1.0, [1.0], [0.1], lam=-1.0), "convex only for h < 1"),
        (lambda: bounds.theorem_s(1.0, 1.0, 0.1, lam=1.0), "takes a step size and an error"),
        (lambda: bounds.theorem_s(1.0, [1.0, 1.0], [0.1], lam=1.0), "for each step"),
        (lambda: bounds.theorem_s(1.0, [0.0], [0.1], lam=1.0), "step sizes must be positive"),
        (lambda: bounds.theorem_s(1.0, [1.0], [-0.1], lam=1.0), "cannot be negative"),
        (lambda: bounds.theorem_p(1.0, [1.0], [0.1], lam=0.0), "Polyak-Lojasiewicz"),
        (lambda: bounds.a_posteriori(1.0, 1.0, 0.1, lam=0.0), "needs lambda > 0"),
        (lambda: bounds.log_sobolev(1.0, lam=-1.0), "needs lambda > 0"),
        (lambda: bounds.transport_entropy(1.0, lam=0.0), "needs lambda > 0"),
        (lambda: bounds.paper_distance(1.0, [1.0], [0.1], lam=0.0), "convex_last"),
        (lambda: bounds.forward_backward(1.0, [0.6], 0.0, 1.0, 2.0), "h <= 1/L = 0.5"),
        (lambda: bounds.forward_backward(1.0, [0.4], 0.0, -1.0, 2.0), "convex parts"),
    ],
)  # fmt: skip
def test_conditions_are_checked(call, says):
    with pytest.raises(UserError, match=says):
        call()
