"""The velocity nets: their divergence is the trace of Dv, their gradient that of autograd."""

import itertools

import numpy
import pytest
import torch

import wopt
from wopt_jko.ode import tangents
from wopt_jko.ode.activation import curvature, value, value_and_slope
from wopt_jko.ode.conv import Window
from wopt_jko.ode.nets import make_net
from wopt_jko.ode.velocity import NetShape

# name, depth, dim, width: deep nets of more than two layers carry the tangents of the coordinates,
# or those of the first hidden layer where these are fewer (the second-last two).
NETS = [
    ("two_layer", None, 3, 7),
    ("gradient", None, 3, 7),
    ("gradient", 2, 3, 7),
    ("gradient", 3, 2, 5),
    ("deep", 1, 3, 7),
    ("deep", 2, 3, 7),
    ("deep", 3, 1, 6),
    ("deep", 3, 5, 4),
    ("deep", 4, 7, 4),
    ("deep", 4, 2, 5),
    ("conv", 1, 4, 5),
    ("conv", 2, 9, 4),
    ("conv", 3, 4, 4),
]
each = pytest.mark.parametrize(
    ("name", "depth", "dim", "width"), NETS, ids=lambda v: str(v) if isinstance(v, str) else ""
)
activations = pytest.mark.parametrize("activation", ["softplus", "silu", "tanh"])


@pytest.fixture
def make(shaken):
    def made(name, depth, dim, width, activation="silu", time=True, condition=0, sharpness=2.0):
        net = make_net(name, NetShape(dim, width, activation, sharpness, time, condition), depth)
        return shaken(net, 0.4)

    return made


def points(*shapes):
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(shape, dtype=torch.float64, generator=rng) for shape in shapes]


def jacobians(field, t, z, c=None):
    """Return D_z v at each row, row by row."""
    return torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda p, k=k: field(None if c is None else c[k : k + 1])(t, p[None])[0][0], row
            )
            for k, row in enumerate(z)
        ]
    )


@each
@activations
@pytest.mark.parametrize("condition", [0, 2])
def test_the_divergence_is_the_trace(make, name, depth, dim, width, activation, condition):
    net = make(name, depth, dim, width, activation, condition=condition)
    z, c = points((9, dim), (9, condition))
    given = c if condition else None
    v, divergence = net.field(True, given)(0.3, z)
    alone, none = net.field(False, given)(0.3, z)
    assert none is None
    assert (v.shape, divergence.shape) == ((9, dim), (9,))
    torch.testing.assert_close(alone, v, rtol=1e-12, atol=1e-12)
    jacobian = jacobians(lambda g: net.field(False, g), 0.3, z, given)
    expected = jacobian.diagonal(dim1=1, dim2=2).sum(1)
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(divergence, expected, rtol=1e-10, atol=1e-10)


@each
def test_the_estimate_over_all_signs_is_the_trace(make, name, depth, dim, width):
    """E e.(Dv e) = tr Dv; with every vector of signs taken once there is no noise left."""
    net = make(name, depth, dim, width)
    (z,) = points((4, dim))
    exact = net.field(True)(0.3, z)[1].detach()
    jacobian = jacobians(lambda g: net.field(False), 0.3, z)
    estimates = []
    for signs in itertools.product((-1.0, 1.0), repeat=dim):
        probe = torch.tensor(signs, dtype=torch.float64).expand(4, dim)
        found = net.field(True, None, probe)(0.3, z)[1].detach()
        if not net.closed:
            expected = torch.einsum("ni,nij,nj->n", probe, jacobian, probe)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        estimates.append(found)
    spread = torch.stack(estimates).std(0, unbiased=False).max()
    torch.testing.assert_close(torch.stack(estimates).mean(0), exact, rtol=1e-10, atol=1e-10)
    assert (float(spread) < 1e-12) == (net.closed or dim == 1)


@each
@activations
@pytest.mark.parametrize("probed", [False, True])
def test_what_training_differentiates(make, name, depth, dim, width, activation, probed):
    """Derivatives of (v, div v) by parameters, points and conditions, against plain operations."""
    net = make(name, depth, dim, width, activation, condition=1)
    z, c, a, b, probe = points((4, dim), (4, 1), (4, dim), (4,), (4, dim))
    z, c, probe = z.requires_grad_(), c.requires_grad_(), probe.sign()
    inputs = [z, c, *net.parameters()]
    v, divergence = net.field(True, c, probe if probed else None)(0.4, z)
    found = torch.autograd.grad((a * v).sum() + (b * divergence).sum(), inputs)

    v = net.field(False, c)(0.4, z)[0]
    rows = [
        torch.stack([torch.autograd.grad(v[i, j], z, create_graph=True)[0][i] for j in range(dim)])
        for i in range(4)
    ]
    jacobian = torch.stack(rows)
    if probed and not net.closed:
        rates = torch.einsum("ni,nij,nj->n", probe, jacobian, probe)
    else:
        rates = jacobian.diagonal(dim1=1, dim2=2).sum(1)
    expected = torch.autograd.grad(
        (a * v).sum() + (b * rates).sum(), inputs, allow_unused=True, materialize_grads=True
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    assert all(bool(g.any()) for g in found)


@pytest.mark.parametrize("name", ["gradient", "deep"])
def test_chunks_of_rows_change_nothing(make, monkeypatch, name):
    net = make(name, 3, 3, 6)
    (z,) = points((10, 3))
    whole = net.field(True)(0.3, z)[1]
    monkeypatch.setattr(tangents, "_NUMBERS", 4 * 18)
    torch.testing.assert_close(net.field(True)(0.3, z)[1], whole, rtol=1e-13, atol=1e-13)


@each
def test_time_and_conditions_matter_where_they_are_wanted(make, name, depth, dim, width):
    z, c = points((5, dim), (5, 2))
    timed = make(name, depth, dim, width, condition=2)
    still = make(name, depth, dim, width, time=False, condition=2)
    assert not torch.equal(timed.field(False, c)(0.1, z)[0], timed.field(False, c)(0.9, z)[0])
    assert torch.equal(still.field(False, c)(0.1, z)[0], still.field(False, c)(0.9, z)[0])
    assert not torch.equal(still.field(False, c)(0.1, z)[0], still.field(False, 2 * c)(0.1, z)[0])
    assert "time" not in dict(still.named_parameters())


@each
def test_times_may_differ_by_row(make, name, depth, dim, width):
    net = make(name, depth, dim, width)
    z, t = points((5, dim), (5, 1))
    v, divergence = net.field(True)(t, z)
    for k in range(5):
        one, rate = net.field(True)(float(t[k]), z[k : k + 1])
        torch.testing.assert_close((v[k], divergence[k]), (one[0], rate[0]), rtol=1e-11, atol=1e-12)


@each
@activations
def test_nothing_overflows_far_out(name, depth, dim, width, activation):
    net = make_net(name, NetShape(dim, width, activation, 50.0, True), depth)
    last = net.outer if name == "gradient" else net.last.weight
    torch.nn.init.normal_(last)
    x = torch.tensor([[0.0], [1e2], [-1e4]]).expand(3, dim).contiguous().requires_grad_()
    v, divergence = net.field(True)(0.5, x)
    (v.sum() + divergence.sum()).backward()
    for found in (v, divergence, x.grad, *(p.grad for p in net.parameters())):
        assert torch.isfinite(found).all()


@activations
def test_the_curvature_of_an_activation(activation):
    u = torch.tensor([-30.0, -1.3, 0.0, 0.7, 30.0], dtype=torch.float64, requires_grad=True)
    a, slope = value_and_slope(activation, u)
    (expected,) = torch.autograd.grad(slope.sum(), u)
    torch.testing.assert_close(curvature(activation, u, a, slope), expected, rtol=1e-10, atol=1e-12)
    assert float(expected.abs().max()) > 0.1


@activations
def test_activations_at_extreme_and_at_zero(activation):
    u = torch.tensor([-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0], dtype=torch.float64)
    a, slope = value_and_slope(activation, u)
    assert torch.isfinite(a).all()
    assert torch.isfinite(slope).all()
    torch.testing.assert_close(a, value(activation, u), rtol=1e-12, atol=1e-14)
    held = u.clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(activation, held).sum(), held)
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)


# What is special to one net.


@pytest.mark.parametrize("depth", [1, 2, 3])
@activations
def test_the_jacobian_of_a_gradient_is_symmetric(make, depth, activation):
    net = make("gradient", depth, 4, 7, activation, condition=1)
    z, c = points((6, 4), (6, 1))
    jacobian = jacobians(lambda g: net.field(False, g), 0.3, z, c)
    assert float((jacobian - jacobian.mT).abs().max()) < 1e-13
    diagonal = torch.diag_embed(jacobian.diagonal(dim1=1, dim2=2))
    assert float((jacobian - diagonal).norm()) > 0.1 * float(jacobian.norm())
    other = make("deep", depth, 4, 7, activation, condition=1)
    jacobian = jacobians(lambda g: other.field(False, g), 0.3, z, c)
    assert float((jacobian - jacobian.mT).abs().max()) > 1e-2


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("activation", ["softplus", "tanh"])
def test_the_gradient_is_that_of_the_potential(make, depth, activation):
    """p = a . S(z_L) + b . z, with S by quadrature of s."""
    sharpness = 1.5
    net = make("gradient", depth, 3, 7, activation, sharpness=sharpness)
    (z,) = points((5, 3))
    z.requires_grad_()

    def s(y):
        u = sharpness * y
        return torch.tanh(u) if activation == "tanh" else torch.log1p(u.exp()) / sharpness

    nodes, weights = map(torch.from_numpy, numpy.polynomial.legendre.leggauss(60))
    layer = z @ net.first.weight.T + 0.3 * net.time + net.first.bias
    for linear in net.hidden:
        layer = s(layer) @ linear.weight.T + linear.bias
    antiderivative = (layer[..., None] * weights / 2 * s(layer[..., None] * (nodes + 1) / 2)).sum(
        -1
    )
    potential = antiderivative @ net.outer + z @ net.shift
    (expected,) = torch.autograd.grad(potential.sum(), z)
    torch.testing.assert_close(net.field(False)(0.3, z)[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", ["softplus", "tanh"])
def test_a_deep_net_is_the_formula_of_its_docstring(make, activation):
    sharpness = 1.5
    net = make("deep", 4, 3, 7, activation, sharpness=sharpness)
    (z,) = points((5, 3))

    def s(y):
        u = sharpness * y
        return torch.tanh(u) if activation == "tanh" else torch.log1p(u.exp()) / sharpness

    a = s(z @ net.first.weight.T + 0.3 * net.time + net.first.bias)
    assert len(net.hidden) == 3
    for linear in net.hidden:
        a = s(linear(a))
    torch.testing.assert_close(net.field(False)(0.3, z)[0], net.last(a), rtol=1e-11, atol=1e-11)


def test_two_layers_have_one_formula(make):
    one, other = make("two_layer", None, 3, 7), make("deep", 2, 3, 7)
    with torch.no_grad():
        for p, q in zip(other.parameters(), one.parameters(), strict=True):
            p.copy_(q)
    (z,) = points((5, 3))
    torch.testing.assert_close(one.field(True)(0.3, z), other.field(True)(0.3, z), rtol=0, atol=0)


def test_the_number_of_layers_of_two_layer_is_no_option():
    make_net("two_layer", NetShape(2, 4, "tanh", 1.0, True), 2)
    with pytest.raises(wopt.ConfigError, match=r'depth = 3.*choose net = "deep"'):
        make_net("two_layer", NetShape(2, 4, "tanh", 1.0, True), 3)


def test_a_convolution_is_the_formula_of_its_docstring(make):
    """Loops over pixels and taps, in a 2 x 3 image, two kernels."""
    window = Window((2, 3), 3, (1, 2))
    shape, sharpness = NetShape(6, 4, "softplus", 1.5, True), 1.5
    net = make_net("conv", shape, 2, window).double()
    for number, parameter in enumerate(net.parameters()):
        rng = torch.Generator().manual_seed(number)
        torch.nn.init.normal_(parameter, std=0.4, generator=rng)
    (z,) = points((1, 6))
    image, kernels = z.reshape(2, 3), net.first.weight.reshape(4, 2, 3, 3)

    def s(y):
        return torch.log1p((sharpness * y).exp()) / sharpness

    expected = []
    for row, column in itertools.product(range(2), range(3)):
        u = net.first.bias + 0.3 * net.time + net.place[3 * row + column]
        for k, step in enumerate(window.dilations):
            for i, j in itertools.product((-1, 0, 1), repeat=2):
                at = (row + step * i, column + step * j)
                if 0 <= at[0] < 2 and 0 <= at[1] < 3:
                    u = u + kernels[:, k, i + 1, j + 1] * image[at]
        expected.append(net.last(s(net.hidden[0](s(u)))))
    found = net.field(False)(0.3, z)[0][0]
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-12, atol=1e-12)


def test_a_limit_bounds_what_is_seen_of_a_pixel_and_keeps_the_trace(make):
    window = Window((3, 3), 3, (1, 2), limit=1.5)
    net = make_net("conv", NetShape(8, 4, "silu", 2.0, True), 2, window).double()
    for number, parameter in enumerate(net.parameters()):
        rng = torch.Generator().manual_seed(number)
        torch.nn.init.normal_(parameter, std=0.4, generator=rng)
    (z,) = points((5, 8))
    v, divergence = net.field(True)(0.3, z)
    trace = jacobians(lambda g: net.field(False, g), 0.3, z).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(divergence, trace, rtol=1e-10, atol=1e-10)
    far, farther = z.clone(), z.clone()
    far[:, 4], farther[:, 4] = 30.0, 3000.0
    one, other = (net.field(False)(0.3, at)[0].detach() for at in (far, farther))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert float((one - v.detach()).abs().max()) > 0.1


@pytest.mark.parametrize("dim", [7, 8])
def test_pixels_that_rows_lack_are_zeros_and_stay_away(make, dim):
    """The whole image's net, cut to the rows' pixels, with the trace of its Jacobian there."""
    window = Window((3, 3), 3, (1, 2))
    net = make_net("conv", NetShape(dim, 4, "silu", 2.0, True), 2, window).double()
    whole = make_net("conv", NetShape(9, 4, "silu", 2.0, True), 2, window).double()
    for number, (one, other) in enumerate(zip(net.parameters(), whole.parameters(), strict=True)):
        rng = torch.Generator().manual_seed(number)
        torch.nn.init.normal_(other, std=0.4, generator=rng)
        one.data.copy_(other.data[:dim] if other.shape == (9, 4) else other.data)
    (z,) = points((5, dim))
    v, divergence = net.field(True)(0.3, z)
    filled = torch.cat([z, z.new_zeros(5, 9 - dim)], dim=1)
    expected = whole.field(False)(0.3, filled)[0][:, :dim]
    torch.testing.assert_close(v, expected, rtol=1e-12, atol=1e-12)
    trace = jacobians(lambda g: net.field(False, g), 0.3, z).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(divergence, trace, rtol=1e-10, atol=1e-10)


def test_windows_that_are_none():
    shape = NetShape(6, 4, "tanh", 1.0, True)
    with pytest.raises(wopt.ConfigError, match="a row of 6 coordinates is not a square"):
        make_net("conv", shape)
    with pytest.raises(wopt.ConfigError, match="is not 2 x 2 pixels"):
        make_net("conv", shape, None, Window((2, 2)))
    with pytest.raises(wopt.ConfigError, match="is not 3 x 3 pixels"):
        make_net("conv", shape, None, Window((3, 3)))
    with pytest.raises(wopt.ConfigError, match="kernel = 4: it must be odd"):
        Window(kernel=4)
    with pytest.raises(wopt.ConfigError, match="limit = 0: it must be positive"):
        Window(limit=0.0)
    with pytest.raises(wopt.ConfigError, match="dilations"):
        Window(dilations=())
    with pytest.raises(wopt.ConfigError, match=r'net deep has no window.*net = "conv"'):
        make_net("deep", shape, 3, Window())
