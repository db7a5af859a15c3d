"""Plans: what they promise is what Theorem P gives, and no less would do."""

import math

import pytest

from wopt import UserError
from wopt_certify import bounds


@pytest.mark.parametrize("h", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("kl0", [1.5, 7.0])
def test_the_number_of_steps_is_the_least(h, eps, kl0):
    lam = 0.6
    target_kl = 1.3 * eps**2 / (2 * lam) + 1e-3
    plan = bounds.steps_needed(target_kl, h, eps, lam, kl0=kl0)
    h, n = [h] * plan.steps, plan.steps
    best = bounds.theorem_p(kl0, h, eps, lam)
    assert best[n - 1] <= target_kl
    assert n == 1 or best[n - 2] > target_kl
    assert str(plan) == f"{n} steps certify KL <= {target_kl:.4g}"


def test_what_the_residual_forbids_is_said():
    plan = bounds.steps_needed(0.004, 1.0, 0.1, lam=1.0, kl0=3.0)
    assert plan.steps is None
    assert plan.floor == pytest.approx(0.005)
    assert "not reachable" in str(plan)
    # A start that is there already needs none.
    assert bounds.steps_needed(0.004, 1.0, 0.1, lam=1.0, kl0=0.003).steps == 0


def test_the_formula_of_the_theory():
    lam, h, eps, eta, kl0 = 0.8, 0.5, 0.02, 0.1, 15.0
    n = math.ceil(math.log((math.sqrt(2 * lam * kl0) - eps) / (eta * eps)) / math.log(1 + h * lam))
    target_kl = (1 + eta) ** 2 * eps**2 / (2 * lam)
    assert bounds.steps_needed(target_kl, h, eps, lam, kl0=kl0).steps == n
    assert bounds.tv(target_kl) == pytest.approx((1 + eta) * eps / (2 * math.sqrt(lam)))


@pytest.mark.parametrize("wish", [0.02, 0.5])
def test_below_the_needed_residual_some_number_of_steps_suffices(wish):
    eps = bounds.error_needed(wish, 0.9)
    assert bounds.steps_needed(wish, 1.0, 0.999 * eps, 0.9, kl0=2.0).steps is not None
    assert bounds.steps_needed(wish, 1.0, 1.001 * eps, 0.9, kl0=2.0).steps is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bounds.steps_needed(0.1, 1.0, 0.1, lam=0.0, kl0=1.0), "lambda > 0"),
        (lambda: bounds.error_needed(0.1, lam=-1.0), "lambda > 0"),
    ],
)
def test_conditions_are_checked(call, says):
    with pytest.raises(UserError, match=says):
        call()
