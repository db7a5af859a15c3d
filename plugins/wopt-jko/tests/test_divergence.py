"""The closed-form divergence equals the trace that autograd finds."""

import pytest
import torch

from wopt_jko.ode.activation import value, value_and_slope
from wopt_jko.ode.nets import make_net
from wopt_jko.ode.velocity import NetShape

each = pytest.mark.parametrize("activation", ["softplus", "silu", "tanh"])


def trace(field, t, x):
    jacobians = [
        torch.autograd.functional.jacobian(lambda p: field(t, p[None])[0][0], p) for p in x
    ]
    return torch.stack([torch.trace(j) for j in jacobians])


@each
@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("sharpness", [0.7, 20.0])
@pytest.mark.parametrize("dim", [1, 3, 7])
def test_it_is_the_trace(shaken, activation, time, sharpness, dim):
    net = shaken(make_net("two_layer", NetShape(dim, 9, activation, sharpness, time)))
    x = torch.randn(12, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for t in (0.0, 0.37):
        v, divergence = net.field(True)(t, x)
        assert divergence.shape == (12,)
        expected = trace(net.field(False), t, x)
        assert float(expected.abs().max()) > 1e-4
        torch.testing.assert_close(divergence, expected, rtol=1e-10, atol=1e-10)
        alone, none = net.field(False)(t, x)
        assert none is None
        torch.testing.assert_close(alone, v, rtol=1e-12, atol=1e-12)


@each
def test_it_is_the_formula_of_the_docstring(shaken, activation):
    sharpness = 3.0
    net = shaken(make_net("two_layer", NetShape(3, 9, activation, sharpness, True)))
    x = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    named = dict(net.named_parameters())
    w1, b1, w2, b2, w3, b3 = (
        named[f"{layer}.{kind}"]
        for layer in ("first", "hidden.0", "last")
        for kind in ("weight", "bias")
    )

    def s(z):
        u = sharpness * z
        if activation == "tanh":
            return torch.tanh(u)
        return (torch.log1p(u.exp()) if activation == "softplus" else u * u.sigmoid()) / sharpness

    t = 0.6
    z = x @ w1.T + t * named["time"] + b1
    expected = s(s(z) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(net.field(True)(t, x)[0], expected, rtol=1e-11, atol=1e-11)


@each
def test_the_gradient_of_both_is_that_of_autograd(shaken, activation):
    """What training differentiates: by parameters and points, against plain operations."""
    net = shaken(make_net("two_layer", NetShape(3, 9, activation, 2.0, True)))
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(6, 3, dtype=torch.float64, generator=rng).requires_grad_()
    a, b = (torch.randn(n, dtype=torch.float64, generator=rng) for n in ((6, 3), (6,)))
    v, divergence = net.field(True)(0.4, x)
    found = torch.autograd.grad((a * v).sum() + (b * divergence).sum(), [x, *net.parameters()])

    plain = net.field(False)
    v = plain(0.4, x)[0]
    rows = [
        sum(torch.autograd.grad(v[i, j], x, create_graph=True)[0][i, j] for j in range(x.shape[1]))
        for i in range(len(x))
    ]
    loss = (a * v).sum() + (b * torch.stack(rows)).sum()
    expected = torch.autograd.grad(
        loss, [x, *net.parameters()], allow_unused=True, materialize_grads=True
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert all(bool(g.any()) for g in found)


@each
def test_activations_at_extreme_and_at_zero(activation):
    u = torch.tensor([-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0], dtype=torch.float64)
    a, slope = value_and_slope(activation, u)
    assert torch.isfinite(a).all()
    assert torch.isfinite(slope).all()
    torch.testing.assert_close(a, value(activation, u), rtol=1e-12, atol=1e-14)
    held = u.clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(activation, held).sum(), held)
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows_far_out(activation, dtype):
    net = make_net("two_layer", NetShape(2, 8, activation, 50.0, True)).to(dtype)
    torch.nn.init.normal_(net.last.weight)
    x = torch.tensor([[0.0, 0.0], [1e3, -1e3], [1e5, 1e5]], dtype=dtype, requires_grad=True)
    v, divergence = net.field(True)(0.5, x)
    (v.sum() + divergence.sum()).backward()
    for found in (v, divergence, x.grad, *(p.grad for p in net.parameters())):
        assert torch.isfinite(found).all()


def test_a_new_net_stands_still():
    v, divergence = make_net("two_layer", NetShape(3, 8, "softplus", 20.0, True)).field(True)(
        0.3, torch.randn(5, 3)
    )
    assert not v.any()
    assert not divergence.any()


def test_time_matters_only_where_it_is_wanted(shaken, x):
    nets = (make_net("two_layer", NetShape(3, 8, "tanh", 1.0, time)) for time in (True, False))
    timed, still = map(shaken, nets)
    assert not torch.equal(timed.field(False)(0.1, x)[0], timed.field(False)(0.9, x)[0])
    assert torch.equal(still.field(False)(0.1, x)[0], still.field(False)(0.9, x)[0])
