"""Orders of accuracy, and laws that find a wrong one."""

import pytest

import wopt
from wopt.testing import LawError, check_scheme

ORDERS = {
    "jko": 1,
    "explicit": 1,
    "extragradient": 1,
    "forward_backward": 1,
    "semi_forward_backward": 1,
    "bdf2": 2,
    "crank_nicolson": 2,
    "explicit_midpoint": 2,
    "midpoint": 2,
    "sdirk2": 2,
}


def test_orders_are_declared(make):
    """The law of every scheme measures what it declares (tests/test_components.py)."""
    assert {name: make(name, 0.1).order for name in ORDERS} == ORDERS


def test_a_wrong_order_is_found(make):
    class Boast(type(make("jko", 0.1))):
        order = 2

    with pytest.raises(LawError, match="Boast breaks order_is_2"):
        check_scheme(lambda h: Boast(step_size=h))


def test_a_hidden_memory_is_found(make):
    class Forgetful(type(make("jko", 0.1))):
        seen = 0

        def subproblem(self, history, objective):
            self.seen += 1
            h = history.step_size * (1 + 0.2 * (self.seen > 2))
            x = history.particles
            return wopt.Subproblem(x, x.points, h, objective)

    with pytest.raises(LawError, match="memory_is_in_the_state"):
        check_scheme(lambda h: Forgetful(step_size=h))
