"""The integrators have the order they should, on fields whose flow is known."""

import itertools
import math

import pytest
import torch

from wopt_jko.ode.integrate import (
    DORMAND_PRINCE,
    EULER,
    MIDPOINT,
    RK4,
    integrate,
    uniform_grid,
)

A = torch.tensor([[-1.0, 2.0], [-0.5, 0.3]], dtype=torch.float64)


def linear(t, x):
    """dx/dt = A x: x(1) = e^A x, log-det tr A."""
    return x @ A.T, A.trace().expand(len(x))


def driven(t, x):
    """dx/dt = cos(3 t) x, of divergence d cos(3 t): x(1) = exp(sin(3)/3) x."""
    return math.cos(3 * t) * x, torch.full_like(x[:, 0], x.shape[1] * math.cos(3 * t))


POINTS = torch.tensor([[1.0, 2.0], [-0.3, 0.7], [2.0, -1.0]], dtype=torch.float64)


METHODS = [(EULER, 1), (MIDPOINT, 2), (RK4, 4), (DORMAND_PRINCE, 5)]


@pytest.mark.parametrize(("tableau", "order"), METHODS)
@pytest.mark.parametrize("case", ["linear", "driven"])
def test_the_order_by_halving(tableau, order, case):
    field, exact = {
        "linear": (linear, POINTS @ torch.linalg.matrix_exp(A).T),
        "driven": (driven, math.exp(math.sin(3) / 3) * POINTS),
    }[case]
    errors = []
    for steps in (4, 8, 16) if order > 2 else (64, 128, 256):
        y, _, _ = integrate(field, POINTS, uniform_grid(steps), tableau)
        errors.append(float((y - exact).abs().max()))
    rates = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert rates[-1] > order - 0.35
    if case == "linear":  # the driven field's leading error happens to be small
        assert rates[-1] < order + 0.35
    assert errors[-1] > 1e-14


@pytest.mark.parametrize(("tableau", "order"), [(RK4, 4), (DORMAND_PRINCE, 5)])
def test_the_log_det_has_the_order_too(tableau, order):
    exact = 2 * math.sin(3) / 3
    errors = [
        abs(float(integrate(driven, POINTS, uniform_grid(n), tableau)[1][0]) - exact)
        for n in (3, 6, 12)
    ]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=1.1)
    assert math.log2(errors[1] / errors[2]) > order - 0.3


@pytest.mark.parametrize("tableau", [EULER, MIDPOINT, RK4, DORMAND_PRINCE])
def test_a_constant_divergence_is_summed_exactly(tableau):
    _, log_det, _ = integrate(linear, POINTS, uniform_grid(3), tableau)
    torch.testing.assert_close(log_det, A.trace().expand(3), rtol=1e-14, atol=0)


def test_the_action_is_the_integral_of_the_squared_speed():
    _, _, action = integrate(linear, POINTS, uniform_grid(64), RK4, action=True)
    times = torch.linspace(0, 1, 4001, dtype=torch.float64)
    paths = torch.stack([POINTS @ torch.linalg.matrix_exp(t * A).T @ A.T for t in times])
    expected = torch.trapezoid(paths.square().sum(2), times, dim=0)
    torch.testing.assert_close(action, expected, rtol=1e-6, atol=0)
    assert not integrate(linear, POINTS, uniform_grid(4), RK4)[2].any()


def test_backwards_in_time_undoes():
    y, log_det, _ = integrate(linear, POINTS, uniform_grid(32), RK4)
    x, log_inverse, _ = integrate(linear, y, uniform_grid(32, reverse=True), RK4)
    torch.testing.assert_close(x, POINTS, rtol=0, atol=1e-7)
    torch.testing.assert_close(log_inverse, -log_det, rtol=1e-12, atol=0)


def test_an_uneven_grid_is_as_good():
    grid = [0.0, 0.11, 0.3, 0.38, 0.62, 0.8, 1.0]
    y, log_det, _ = integrate(driven, POINTS, grid, RK4)
    torch.testing.assert_close(y, math.exp(math.sin(3) / 3) * POINTS, rtol=1e-4, atol=0)
    assert float(log_det[0]) == pytest.approx(2 * math.sin(3) / 3, abs=1e-3)


@pytest.mark.parametrize("tableau", [EULER, MIDPOINT, RK4, DORMAND_PRINCE])
def test_the_coefficients_are_consistent(tableau):
    assert sum(tableau.b) == pytest.approx(1, abs=1e-15)
    for row, c in zip(tableau.a, tableau.c, strict=True):
        assert sum(row) == pytest.approx(c, abs=1e-14)


def test_without_a_divergence_the_log_det_is_zero():
    y, log_det, _ = integrate(lambda t, x: (linear(t, x)[0], None), POINTS, uniform_grid(4), RK4)
    assert not log_det.any()
    torch.testing.assert_close(y, integrate(linear, POINTS, uniform_grid(4), RK4)[0])


def test_grids():
    assert uniform_grid(4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert uniform_grid(2, reverse=True) == [1.0, 0.5, 0.0]
