"""Inverses: their stated tolerance is met, and what cannot be inverted says so."""

import math

import pytest
import torch

import wopt
from wopt_blocks.newton import newton

STEEP = [
    ({"name": "affine"}, 0.8),
    ({"name": "affine", "symmetric": True}, 0.8),
    ({"name": "icnn", "width": 16}, 0.6),
    ({"name": "icnn", "width": 16, "sharpness": 20.0}, 0.6),
    ({"name": "residual", "width": 16, "lipschitz": 0.99}, 1.0),
    ({"name": "residual", "width": 16, "lipschitz": 0.99, "exact": 0}, 1.0),
]


@pytest.mark.parametrize(("table", "size"), STEEP)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_stated_tolerance_is_met_everywhere(table, size, dtype, shaken):
    """|T(x) - y| <= 1e-10 (1 + |y|), in float32 1e-3 (1 + |y|), from points near to very far."""
    block = shaken(table, 4, size).to(dtype)
    rng = torch.Generator().manual_seed(3)
    directions = torch.randn(60, 4, generator=rng, dtype=torch.float64)
    y = (directions * torch.logspace(-3, 3, 60, dtype=torch.float64)[:, None]).to(dtype)
    x, log_det = block.inverse(y)
    missed = (block.move(x) - y).norm(dim=1) / (1 + y.norm(dim=1))
    assert float(missed.max()) <= (1e-10 if dtype == torch.float64 else 1e-3)
    torch.testing.assert_close(log_det, -block(x)[1], rtol=0, atol=1e-4)


def test_newton_and_fixed_point_find_the_same_point(shaken, x):
    newtons = shaken({"name": "residual", "width": 16})
    fixed = shaken({"name": "residual", "width": 16, "exact": 0})
    fixed.load_state_dict(newtons.state_dict())
    torch.testing.assert_close(fixed.inverse(x), newtons.inverse(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("lipschitz", [0.3, 0.9, 0.99])
def test_the_bound_on_f_holds(activation, lipschitz, shaken, x):
    table = {"name": "residual", "width": 8, "activation": activation, "lipschitz": lipschitz}
    block = shaken(table, size=2.0)
    z = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(4)).double()
    u, v = block.move(x) - x, block.move(z) - z
    assert bool(((u - v).norm(dim=1) <= lipschitz * (x - z).norm(dim=1)).all())


def test_the_bound_is_reached_by_a_linear_net(shaken):
    """So no slope below it is lost: with softplus far out, s' = 1, f is l times a projection."""
    block = shaken({"name": "residual", "width": 3, "depth": 1, "activation": "softplus"})
    with torch.no_grad():
        for layer in block.net.layers:
            layer.weight.copy_(-5 * torch.eye(3))
            layer.bias.fill_(30.0)
    log_det = block(torch.zeros(1, 3).double())[1]
    assert float(log_det) == pytest.approx(3 * math.log(1.9), abs=1e-9)


def test_a_slope_from_the_bound_down_is_learnt():
    """x / 10 on the line, the smallest slope of id + f with |f'| <= 0.9, and not x / 20."""
    torch.manual_seed(0)
    block = wopt.build("block", {"name": "residual", "width": 16}).build(dim=1).double()
    x = torch.linspace(-1, 1, 50).double()[:, None]
    optimiser = torch.optim.Adam(block.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        (block.move(x) - x / 20).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        y = block.move(x)
    slope = float((y[-1] - y[0]) / 2)
    assert 0.1 <= slope < 0.15


def test_any_parameters_make_an_invertible_affine_map(new):
    """Rotations by any angle, and stretches over ten orders of magnitude."""
    block = new({"name": "affine"}, 3).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    y = torch.randn(20, 3, dtype=torch.float64, generator=rng)
    for size in (1.0, 3.0, 5.0):
        block.generator.copy_(size * torch.randn(3, 3, generator=rng))
        x, log_inverse = block.inverse(y)
        a = block.slope()
        assert float(torch.linalg.det(a)) > 0
        assert float(torch.linalg.slogdet(a)[1]) == pytest.approx(-float(log_inverse[0]), abs=1e-6)
        scale = float(torch.linalg.cond(a))
        torch.testing.assert_close(block.move(x), y, rtol=0, atol=1e-14 * scale)


@pytest.mark.parametrize("seed", range(3))
def test_every_orientation_preserving_matrix_is_reached(seed, new):
    """The polar decomposition A = exp(S) exp(K) of a random A with det A > 0, put into M."""
    rng = torch.Generator().manual_seed(seed)
    a = torch.randn(3, 3, dtype=torch.float64, generator=rng)
    a[0] *= torch.linalg.det(a).sign()
    values, vectors = torch.linalg.eigh(a @ a.T)
    log_stretch = vectors @ (values.log() / 2)[:, None].mul(vectors.T)
    turn = torch.linalg.solve(torch.linalg.matrix_exp(log_stretch), a)
    angle = math.acos((float(turn.trace()) - 1) / 2)
    skew = (turn - turn.T) * angle / (2 * math.sin(angle))  # Rodrigues
    block = new({"name": "affine"}, 3).requires_grad_(False)
    block.generator.copy_(log_stretch + skew)
    torch.testing.assert_close(block.slope(), a, rtol=0, atol=1e-9)


def test_the_affine_inverse_is_differentiable(shaken, x):
    block = shaken({"name": "affine"}).requires_grad_(True)
    loss = block.inverse(x)[0].square().sum()
    (found,) = torch.autograd.grad(loss, block.generator)
    h, direction = 1e-6, torch.eye(3).double()
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            block.generator += sign * h * direction
            values.append(block.inverse(x)[0].square().sum())
            block.generator -= sign * h * direction
    numeric = float(values[0] - values[1]) / (2 * h)
    assert float((found * direction).sum()) == pytest.approx(numeric, rel=1e-6)


@pytest.fixture
def folded(new):
    """Return a function that makes x + slope tanh x on the line, which folds for slope < -1."""

    def make(slope):
        table = {"name": "residual", "width": 1, "depth": 1, "lipschitz": 0.0, "activation": "tanh"}
        block = new(table, 1).requires_grad_(False)
        block.net.layers[0].weight.fill_(1.0)
        block.net.layers[0].bias.fill_(0.0)
        block.net.layers[1].weight.fill_(slope)
        return block.eval()

    return make


def test_a_fold_is_told(folded):
    """T(x) = x - 3 tanh x turns back between -1.1 and 1.1: det DT < 0 at the point found."""
    block = folded(-3.0)
    y = torch.tensor([[0.1], [-0.1], [50.0]]).double()
    with pytest.raises(wopt.DivergenceError) as caught:
        block.inverse(y)
    for word in ("2 of 3 points", "fold", "lipschitz = 0.9"):
        assert word in str(caught.value)
    assert float(block.inverse(y[2:])[0]) == pytest.approx(53.0, abs=1e-9)


def test_no_convergence_is_told(new):
    """T(x) = x - 2 softplus x never exceeds -1.38: points above it come from nowhere."""
    table = {"name": "residual", "width": 1, "depth": 1, "lipschitz": 0.0}
    block = new({**table, "activation": "softplus"}, 1).requires_grad_(False).eval()
    block.net.layers[0].weight.fill_(1.0)
    block.net.layers[0].bias.fill_(0.0)
    block.net.layers[1].weight.fill_(-2.0)
    y = torch.tensor([[-5.0], [1.0], [2.0]]).double()
    with pytest.raises(wopt.DivergenceError) as caught:
        block.inverse(y)
    for word in ("did not converge at 2 of 3 points", "tolerance 1e-10", "lipschitz = 0.9"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        {"name": "icnn", "width": 8},
        {"name": "residual", "width": 8},
        {"name": "residual", "width": 8, "exact": 0},
    ],
)
def test_points_that_are_not_finite_end_soon(table, shaken, x, monkeypatch):
    block = shaken(table)
    bad, value, calls = x.clone(), block.value, []
    bad[3, 1] = torch.nan
    monkeypatch.setattr(block, "value", lambda *args: calls.append(1) or value(*args))
    with pytest.raises(wopt.DivergenceError, match="1 of 40 points"):
        block.inverse(bad)
    assert len(calls) < 100


def test_newton_meets_a_singular_derivative():
    """x^3 at 0: the derivative vanishes at the start, which is already the answer."""
    y = torch.zeros(1, 1).double()
    found = newton(lambda x, _: x**3, lambda x, _: (x**3, 3 * x[:, :, None] ** 2), y, None, "")
    assert torch.equal(found, y)


@pytest.mark.parametrize("condition", [0, 1])
@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
def test_icnn_is_the_gradient_of_a_strictly_convex_potential(size, condition, shaken, x):
    """Its derivative is symmetric and at least exp(2S)/2, whatever the parameters are."""
    m = 3 - condition
    block = shaken({"name": "icnn", "width": 16}, m, size, condition=condition)
    c = x[:, m:]
    for k in range(20):
        jacobian = torch.autograd.functional.jacobian(
            lambda z, k=k: block.value(z[None], c[k : k + 1])[0], x[k, :m]
        )
        scale = float(jacobian.abs().max())
        torch.testing.assert_close(jacobian, jacobian.T, rtol=0, atol=1e-12 * scale)
        stretch = torch.linalg.matrix_exp(block.stretch + block.stretch.T)
        excess = torch.linalg.eigvalsh(jacobian - stretch / 2)
        assert float(excess.min()) > -1e-12 * scale
