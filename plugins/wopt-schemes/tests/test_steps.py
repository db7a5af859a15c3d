"""Steps equal the closed forms of docs/theory 3, with step sizes that vary."""

import pytest
import torch

from wopt.testing import run_scheme

NAMES = [
    "jko",
    "explicit",
    "extragradient",
    "explicit_midpoint",
    "forward_backward",
    "semi_forward_backward",
    "bdf2",
    "crank_nicolson",
    "midpoint",
    "sdirk2",
    "accelerated",
]
STEPS = [0.08, 0.1, 0.05]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["line", "rotated", "five"])
def test_steps_equal_the_closed_form(name, where, problems, make, exact):
    p = problems[where]
    found = run_scheme(make(name, STEPS), p, len(STEPS))
    assert found.status == "done", found.reason
    expected = p.placed(exact(name, p, STEPS))
    assert float((found.state.train.particles.points - expected).abs().max()) < 1e-8
    assert all(r.residual is None or r.residual < 1e-6 for r in found.history)


def root(sigma, k, s, h):
    """Return the sigma that solves  k sigma + h (sigma/s - 1/sigma) = the given one."""
    return (sigma + (sigma**2 + 4 * (k + h / s) * h) ** 0.5) / (2 * (k + h / s))


def test_label_steps_equal_the_formulas_in_mean_and_deviation(problems, exact):
    """The oracle of the test above against the one-dimensional closed forms."""
    p, h = problems["line"], 0.1
    m, sigma, n, s = float(p.m), float(p.c) ** 0.5, float(p.n), float(p.s)

    def after(name, steps=1):
        x = exact(name, p, [h] * steps)
        return float(x[0, 0]), float(x[0, 1])

    first = (m + h * n / s) / (1 + h / s), root(sigma, 1, s, h)
    assert after("jko") == pytest.approx(first, abs=1e-12)
    assert after("explicit") == pytest.approx(
        (m - h * (m - n) / s, sigma - h * (sigma / s - 1 / sigma)), abs=1e-12
    )
    # Matthes and Plazotta's variational form, k = 3/2
    two = root(2 * first[1] - sigma / 2, 1.5, s, h)
    assert after("bdf2", 2)[1] == pytest.approx(two, abs=1e-12)
    assert after("midpoint")[1] == pytest.approx(2 * root(sigma, 1, s, h / 2) - sigma, abs=1e-12)
    trapezoid = root(first[1] - h / 2 * (first[1] / s - 1 / first[1]), 1, s, h / 2)
    assert after("crank_nicolson", 2)[1] == pytest.approx(trapezoid, abs=1e-12)
    half = (1 - h / s) * sigma
    assert after("forward_backward")[1] == pytest.approx(
        (half + (half**2 + 4 * h) ** 0.5) / 2, abs=1e-12
    )


def test_bdf2_starts_anew_when_the_step_grows_too_much(problems, make, exact):
    p = problems["line"]
    found = run_scheme(make("bdf2", [0.01, 0.1]), p, 2)
    expected = p.placed(exact("jko", p, [0.01, 0.1]))
    assert torch.allclose(found.state.train.particles.points, expected, atol=1e-8)
