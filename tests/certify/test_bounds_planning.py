"""Plans: what they promise is what Theorems S' and P give, and no less would do."""

import math

import numpy as np
import pytest

from wopt import UserError
from wopt_certify import bounds


@pytest.mark.parametrize("h", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("start", [{"w0": 4.0}, {"kl0": 7.0}, {"w0": 4.0, "kl0": 1.5}])
def test_the_number_of_steps_is_the_least(h, eps, start):
    lam = 0.6
    wish = 1.3 * eps**2 / (2 * lam) + 1e-3
    plan = bounds.steps_needed(wish, h, eps, lam, **start)
    h, n = [h] * plan.steps, plan.steps
    runs = []
    if "w0" in start:
        runs.append(bounds.a_priori(start["w0"], h, eps, lam))
    if "kl0" in start:
        runs.append(bounds.theorem_p(start["kl0"], h, eps, lam))
    best = np.min(runs, axis=0)
    assert best[n - 1] <= wish
    assert n == 1 or best[n - 2] > wish
    assert str(plan) == f"{n} steps certify KL <= {wish:.4g}"


def test_what_the_residual_forbids_is_said():
    plan = bounds.steps_needed(0.004, 1.0, 0.1, lam=1.0, w0=3.0)
    assert plan.steps is None
    assert plan.floor == pytest.approx(0.005)
    assert "not reachable" in str(plan)
    # A start that is there already needs none.
    assert bounds.steps_needed(0.004, 1.0, 0.1, lam=1.0, kl0=0.003).steps == 0


def test_the_formula_of_the_theory():
    lam, h, eps, eta, w0 = 0.8, 0.5, 0.02, 0.1, 6.0
    k_1 = (w0 + h * eps) ** 2 / (2 * h * (2 + h * lam))
    n = 1 + math.ceil(
        math.log((math.sqrt(2 * lam * k_1) - eps) / (eta * eps)) / math.log(1 + h * lam)
    )
    wish = (1 + eta) ** 2 * eps**2 / (2 * lam)
    assert bounds.steps_needed(wish, h, eps, lam, w0=w0).steps == n
    assert bounds.tv(wish) == pytest.approx((1 + eta) * eps / (2 * math.sqrt(lam)))


@pytest.mark.parametrize("steps", [[2.0], [0.5, 1.0, 2.0, 4.0], [0.3] * 12])
@pytest.mark.parametrize("start", [{"w0": 3.0}, {"kl0": 2.0}, {"w0": 3.0, "kl0": 2.0}])
@pytest.mark.parametrize("wish", [0.02, 0.5, 1.0])
def test_the_needed_residual_is_the_largest(steps, start, wish):
    lam = 0.9

    def certified(eps):
        runs = []
        if "w0" in start:
            runs.append(bounds.a_priori(start["w0"], steps, eps, lam)[-1])
        if "kl0" in start:
            runs.append(bounds.theorem_p(start["kl0"], steps, eps, lam)[-1])
        return min(runs)

    eps = bounds.error_needed(wish, lam, step_sizes=steps, **start)
    if eps is None:
        assert certified(0.0) > wish
        return
    assert certified(eps) <= wish * (1 + 1e-12)
    limit = bounds.error_needed(wish, lam)
    assert eps <= limit
    assert eps == limit or certified(eps * 1.001) > wish


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bounds.steps_needed(0.1, 1.0, 0.1, lam=1.0), "give w0 or kl0"),
        (lambda: bounds.steps_needed(0.1, 1.0, 0.1, lam=0.0, w0=1.0), "lambda > 0"),
        (lambda: bounds.error_needed(0.1, lam=-1.0), "lambda > 0"),
        (lambda: bounds.error_needed(0.1, lam=1.0, step_sizes=[1.0]), "give w0 or kl0"),
    ],
)
def test_conditions_are_checked(call, says):
    with pytest.raises(UserError, match=says):
        call()
