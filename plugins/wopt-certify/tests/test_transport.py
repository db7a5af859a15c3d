"""The transport gap between Gaussians, where it is known."""

import math

import pytest
import torch
from by_hand import normal, w2_squared

from wopt import DataError, UserError
from wopt.testing import AffineBlock
from wopt_certify.transport import jacobian_symmetry, transport_gap

SHEAR = torch.tensor([[1.4, 0.9], [-0.5, 0.8]]).double()


def true_gap(matrix):
    """E|x - A x|^2 - W_2^2 for x ~ N(0, I)."""
    eye, zero = torch.eye(len(matrix)).double(), torch.zeros(len(matrix)).double()
    least = w2_squared(zero, eye, zero, matrix @ matrix.T)
    return float((matrix - eye).square().sum() - least)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_dual_is_exact_for_gaussians_whatever_the_map(d):
    """Both halves are the points +- d^1/2 e_i, whose moments are those of N(0, I)."""
    eye, zero = torch.eye(d).double(), torch.zeros(d).double()
    half = torch.cat([eye, -eye]) * math.sqrt(d)
    z = half.repeat_interleave(2, 0).repeat(3, 1)
    for seed in range(20):
        a, b, shift = (normal(d, d, 3 * seed + k) for k in range(3))
        x = z @ a.T + 5
        y = x @ b.T + shift[0]
        c, s = a @ a.T, b @ a @ a.T @ b.T
        off = 5 * (b @ torch.ones(d).double() - 1) + shift[0]
        truth = float(w2_squared(off, c, zero, s))
        found = transport_gap(x, y, size=4)
        # A floor of 1e-10 under the covariances keeps singular ones in; its root is felt here.
        assert found.dual.value == pytest.approx(truth, rel=1e-4, abs=1e-4)
        assert found.cost.value == pytest.approx(float((x - y).square().sum(1).mean()))
        assert found.high.value == pytest.approx(found.cost.value - truth, rel=1e-3, abs=1e-3)


def test_an_optimal_affine_map_has_no_gap():
    x = normal(600, 3)
    a = normal(3, 3, 1)
    found = transport_gap(x, x @ (a @ a.T + torch.eye(3).double()) + 2, size=200)
    assert found.cost.value > 10
    assert found.high.value < 1e-6
    for plan in found.plans:
        assert plan.gap < 1e-9


def test_plans_see_that_a_map_is_optimal_where_quadratics_cannot():
    """x + tanh x is the gradient of a convex function."""
    x = 2 * normal(600, 2)
    found = transport_gap(x, x + x.tanh(), size=200)
    assert [plan.size for plan in found.plans] == [100, 200]
    assert max(plan.gap for plan in found.plans) < 1e-9
    assert found.high.low > 0.01


@pytest.mark.parametrize("size", [200, 400])
def test_the_gap_is_between_plans_and_dual(size):
    x = normal(4000, 2)
    found, truth = transport_gap(x, x @ SHEAR.T + 1, size=size), true_gap(SHEAR)
    assert truth > 0.5
    small, large = found.plans
    assert 0.5 * truth < small.gap < large.gap < truth
    assert abs(found.high.value - truth) < 3 * found.high.error
    assert found.high.error < 0.05 * truth
    assert found.dual.low < found.dual.value < found.dual.high < found.cost.value


def test_the_bias_of_plans_is_shown_and_falls_with_size():
    """Two samples of one law are apart, so x and its shift are too far apart by about as much."""
    x = normal(4000, 4)
    found = transport_gap(x, x + 0.5, size=500)
    small, large = found.plans
    assert small.w2_squared_noise > 1.2 * large.w2_squared_noise > 0.3  # the true distance is 0
    assert small.w2_squared_independent > large.w2_squared_independent > 1.2  # the true one is 1
    assert small.gap < 1e-9
    assert abs(found.dual.value - 1) < 0.01


def test_intervals_cover():
    """Of 200, 5 +- 2.2 should lie above the truth, and as many or more below: it is a bound."""
    truth = float((SHEAR - torch.eye(2).double()).square().sum()) - true_gap(SHEAR) + 2
    above = below = 0
    for seed in range(200):
        x = normal(500, 2, seed)
        found = transport_gap(x, x @ SHEAR.T + 1, size=4)
        above += found.dual.low > truth
        below += found.dual.high < truth
    assert above <= 5 + 3 * 2.2
    assert 1 <= below <= 5 + 3 * 2.2


def test_on_the_line_plans_are_sorting():
    x = normal(2000, 1)
    found = transport_gap(x, -x)
    assert found.plans[1].gap == pytest.approx(4, rel=0.1)
    assert found.high.value == pytest.approx(float(4 * x.square().mean()), rel=0.01)


def test_single_precision_and_seeds():
    x = normal(600, 2)
    double = transport_gap(x, x @ SHEAR.T, size=100)
    single = transport_gap(x.float(), (x @ SHEAR.T).float(), size=100)
    assert single.high.value == pytest.approx(double.high.value, rel=1e-5)
    assert transport_gap(x, x @ SHEAR.T, size=100) == double
    assert transport_gap(x, x @ SHEAR.T, size=100, seed=1).plans != double.plans


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: transport_gap(x, x[:-1]), DataError, "one shape"),
        (lambda x: transport_gap(x[:5], x[:5]), DataError, "at least 12 rows"),
        (lambda x: transport_gap(x, x, size=2), UserError, "size >= 4"),
        (lambda x: jacobian_symmetry(lambda y: y, x[:0]), DataError, "m > 0"),
        (lambda x: jacobian_symmetry(lambda y: y.detach(), x), UserError, "no_grad"),
        (lambda x: jacobian_symmetry(lambda y: y[:, :1], x), UserError, "same shape"),
    ],
)
def test_bad_input_is_explained(call, error, says):
    with pytest.raises(error, match=says):
        call(normal(50, 2))


def test_symmetry_of_a_nonlinear_map():
    def move(x):
        return torch.stack([x[:, 0] + x[:, 1].sin(), x[:, 1] * (1 + x[:, 0].square())], dim=1)

    x = normal(7, 2)
    j = torch.stack([torch.autograd.functional.jacobian(lambda r: move(r[None])[0], r) for r in x])
    found = jacobian_symmetry(move, x)
    odd = (j - j.mT) / 2
    wrong = float(odd.square().sum((1, 2)).mean().sqrt())
    total = float((j - torch.eye(2).double()).square().sum((1, 2)).mean().sqrt())
    assert found.antisymmetric == pytest.approx(wrong, rel=1e-12)
    assert found.relative == pytest.approx(wrong / total, rel=1e-12)
    assert found.least_eigenvalue == pytest.approx(
        float(torch.linalg.eigvalsh((j + j.mT) / 2).min())
    )
    assert found.points == 7


def test_gradients_of_convex_functions_are_symmetric():
    found = jacobian_symmetry(lambda x: x + x.sum(1, keepdim=True).tanh(), normal(9, 3))
    assert found.antisymmetric < 1e-15
    assert found.least_eigenvalue >= 1 - 1e-12
    found = jacobian_symmetry(lambda x: x, normal(9, 3))
    assert (found.relative, found.least_eigenvalue) == (0.0, 1.0)
    assert jacobian_symmetry(lambda x: -x, normal(9, 3)).least_eigenvalue == -1


def test_a_frozen_block_can_be_looked_at():
    block = AffineBlock(2).double()
    with torch.no_grad():
        block.matrix.copy_(SHEAR)
    block.freeze()
    with torch.no_grad():
        found = jacobian_symmetry(block.move, normal(5, 2))
    # The antisymmetric part of SHEAR has entries +-0.7, SHEAR - I is as below.
    assert found.antisymmetric == pytest.approx(0.7 * 2**0.5)
    assert found.relative == pytest.approx(0.7 * 2**0.5 / (0.16 + 0.81 + 0.25 + 0.04) ** 0.5)
