"""The block ``autoregressive``: masks, the inverse in one pass, splines and their gradients."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import wopt
import wopt_blocks
from wopt.testing import check_block
from wopt_blocks.defensive import DefensiveTails
from wopt_blocks.masked import MaskedNet
from wopt_blocks.monotone import monotone
from wopt_blocks.radial import RadialMap
from wopt_blocks.rational import inverse_spline, spline

BOUND = torch.tensor(5.0).double()


def draws(*shape, size=1.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return size * torch.randn(*shape, dtype=torch.double, generator=rng)


@pytest.mark.parametrize("bins", [2, 3])
def test_the_written_gradient_is_the_numerical_one(bins):
    raw = draws(3 * bins - 1, 1, 9).requires_grad_()
    x = draws(1, 9, size=4, seed=1).requires_grad_()
    assert bool((x.abs() > 5).any())
    for function in (spline, inverse_spline):
        assert torch.autograd.gradcheck(lambda r, p, f=function: f(r, p, BOUND), (raw, x))
    assert torch.autograd.gradgradcheck(lambda r, p: spline(r, p, BOUND), (raw, x))


def test_the_written_gradient_is_the_automatic_one():
    """To rounding, which numerical differences cannot show; asking for a graph chooses it."""
    raw, x = draws(26, 3, 200).requires_grad_(), draws(3, 200, size=3, seed=1).requires_grad_()
    sent = draws(3, 200, seed=2), draws(3, 200, seed=3)
    written = torch.autograd.grad(spline(raw, x, BOUND), (raw, x), sent)
    automatic = torch.autograd.grad(spline(raw, x, BOUND), (raw, x), sent, create_graph=True)
    torch.testing.assert_close(written, automatic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_splines_are_inverted_backward_stably(dtype):
    """However steep or flat, up to what rounding x or y by themselves does."""
    raw, x = draws(23, 4, 2000, size=3).to(dtype), draws(4, 2000, size=3, seed=1).to(dtype)
    y, log_slope = spline(raw, x, BOUND.to(dtype))
    back, log_inverse = inverse_spline(raw, y, BOUND.to(dtype))
    again = spline(raw.double(), back.double(), BOUND)[0]
    rounding = 5 * torch.finfo(dtype).eps * (1 + log_slope.double().exp())
    assert float(((again - y).abs() / rounding).max()) < 30
    assert float(log_slope.max() - log_slope.min()) > 15  # some are steep, some are flat
    if dtype == torch.float64:
        tame = log_slope.abs() < 5
        assert float((back - x).abs()[tame].max()) < 1e-10
        assert float((log_inverse + log_slope).abs()[tame].max()) < 1e-9


def test_a_spline_is_zukos():
    """With the same bins and slopes at the knots."""
    zuko = pytest.importorskip("zuko.transforms", reason="compares with zuko: install wopt-zuko")
    k, raw, x = 5, draws(14, 3, 40), draws(3, 40, size=2, seed=1)
    least, scale = 1e-3, 1 - 5e-3
    lengths = least + scale * raw[: 2 * k].view(2, k, 3, 40).softmax(1)
    # zuko bends its logits and makes bins of their softmax; these are the logits that give ours.
    bend = -2 / math.log(1e-3)
    logits = lengths.log() - lengths.log().mean(1, keepdim=True)
    widths, heights = (logits / (1 - bend * logits.abs())).movedim(1, -1)
    assert float((bend * logits.abs()).max()) < 1
    theirs = zuko.MonotonicRQSTransform(widths, heights, raw[2 * k :].movedim(0, -1), bound=5.0)
    y, log_slope = spline(raw, x, BOUND)
    torch.testing.assert_close((y, log_slope), theirs.call_and_ladj(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("magnitudes", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("condition", [0, 2])
@pytest.mark.parametrize("ranks", [[0], [0, 1], [2, 0, 3, 1]])
def test_numbers_see_what_comes_before_and_only_that(ranks, condition, residual, magnitudes):
    d = len(ranks)
    net = MaskedNet(ranks, condition, 2, [12, 12], "tanh", residual, magnitudes).double()
    for parameter in net.parameters():
        parameter.data = draws(*parameter.shape, seed=parameter.numel())
    x = draws(d + condition, 1)
    seen = torch.autograd.functional.jacobian(lambda p: net(p)[..., 0], x)[..., 0]
    for i, j in ((i, j) for i in range(d) for j in range(d + condition)):
        before = j >= d or ranks[j] < ranks[i]
        assert bool((seen[:, i, j] != 0).all()) == before, (i, j)


@pytest.mark.parametrize("condition", [0, 2])
def test_a_net_may_see_magnitudes(condition):
    """With the weights of x at zero, what it makes is even; without magnitudes it is not."""
    net = MaskedNet([1, 0, 2], condition, 2, [12], "elu", magnitudes=True)
    net = net.double().requires_grad_(False)
    for parameter in net.parameters():
        parameter.data = draws(*parameter.shape, seed=parameter.numel())
    x = draws(3 + condition, 9)
    assert not torch.allclose(net(x)[:, 2], net(-x)[:, 2])
    net.layers[0].weight.data[:, : 3 + condition] = 0
    torch.testing.assert_close(net(x), net(-x), rtol=0, atol=0)
    assert float(net(x)[:, 2].std(1).min()) > 0.1


@pytest.mark.parametrize("magnitudes", [True, False])
def test_beyond_its_reach_a_net_sees_the_edge(magnitudes):
    net = MaskedNet([1, 0, 2], 1, 2, [12], magnitudes=magnitudes)
    net = net.double().requires_grad_(False)
    net.last.weight.data = draws(*net.last.weight.shape)
    net.reach.fill_(2.0)
    x = draws(4, 50, size=3)
    edge = x.clone()
    edge[:3].clamp_(-2, 2)  # conditions are seen as they are
    assert float((net(x) - net(edge)).abs().max()) == 0
    assert float((net(x.clamp(-2, 2)) - net(edge)).abs().max()) > 0.1


def test_the_inverse_does_not_explode(new):
    """At points where no particle was every coordinate would carry the next further."""
    table = {"name": "autoregressive", "univariate": "affine", "hidden": [64], "transforms": 2}
    block = new(table, dim=40)
    for seed, parameter in enumerate(block.parameters()):
        parameter.data += 0.15 * draws(*parameter.shape, seed=seed)
    block.requires_grad_(False)
    y = draws(500, 40, size=2)
    free = block.inverse(y)[0].abs().max()
    block.initialise(draws(2000, 40, seed=5))
    assert [float(net.reach) for net in block.nets] == [5.0, 5.0]
    x = block.inverse(y)[0]
    assert float(free) > 1e20
    assert float(x.abs().max()) < 1e3
    torch.testing.assert_close(block(x)[0], y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("univariate", ["affine", "affine_spline", "spline"])
def test_the_inverse_takes_the_arithmetic_of_one_pass(univariate, new):
    """Counted in multiplications of the nets, where d passes would take 16 times as many."""
    dim, n = 16, 8
    table = {"name": "autoregressive", "univariate": univariate, "hidden": [32, 32]}
    block = new(table, dim).float()
    taken = {}
    for name, call in (("forward", block.forward), ("inverse", block.inverse)):
        with FlopCounterMode(display=False) as seen, torch.no_grad():
            call(torch.zeros(n, dim))
        taken[name] = seen.get_flop_counts()["Global"][torch.ops.aten.addmm]
    assert taken["forward"] > 0
    assert taken["inverse"] < taken["forward"]


def radial(size=1.0):
    made = RadialMap().double()
    made.raw.data = draws(*made.raw.shape, size=size)
    return made.requires_grad_(False)


def test_a_radial_map_keeps_directions_and_moves_norms_by_its_spline():
    made, z = radial(), draws(5, 300) * torch.linspace(-2, 2, 300).exp()
    y, log_det = made(z)
    norm, moved = z.norm(dim=0), y.norm(dim=0)
    torch.testing.assert_close(y / moved, z / norm, rtol=0, atol=1e-14)
    place, raw = (norm / 5**0.5).log(), made.raw[:, None, None].expand(-1, 1, 300)
    log_norm = spline(raw, place[None], torch.tensor(6.0).double())[0][0]
    torch.testing.assert_close(moved, 5**0.5 * log_norm.exp(), rtol=1e-13, atol=0)
    assert float((log_norm - place).abs().max()) > 0.3
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda p: made(p[:, None])[0][:, 0], c) for c in z.T]
    )
    torch.testing.assert_close(torch.linalg.slogdet(jacobians)[1], log_det, rtol=0, atol=1e-12)
    back, log_inverse = made.inverse(y)
    torch.testing.assert_close(back, z, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(log_inverse, -log_det, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_radial_map_at_the_origin_and_far_out(dtype):
    """Outside its box it is the identity, and its derivative stays finite."""
    made = radial().to(dtype)
    z = torch.zeros(3, 3, dtype=dtype)
    z[:, 1], z[:, 2] = 1e-20, 1000.0
    z.requires_grad_()
    y, log_det = made(z)
    (slope,) = torch.autograd.grad(y.sum() + log_det.sum(), z)
    torch.testing.assert_close(y, z, rtol=0, atol=0)
    torch.testing.assert_close(slope, torch.ones_like(z), rtol=0, atol=0)
    assert not log_det.any()


def test_a_box_follows_the_particles(new):
    x = draws(4000, 2)
    block = new({"name": "autoregressive"}, 2)
    block.initialise(0.1 * x)
    assert float(block.functions[0].bound) == 5
    block.initialise(20 * x)
    rank = (20 * x).abs().flatten().sort().values[round(0.999 * 8000) - 1]
    assert float(block.functions[0].bound) == pytest.approx(1.5 * float(rank), rel=1e-6)
    warm = new({"name": "autoregressive"}, 2)
    warm.initialise(x)
    held = float(warm.functions[0].bound)
    warm.warm_start(block)
    assert float(warm.functions[0].bound) == held
    fixed = new({"name": "autoregressive", "bound": 3.0}, 2)
    fixed.initialise(20 * x)
    assert float(fixed.functions[0].bound) == 3


def test_each_map_may_have_its_own_function(new):
    table = {"name": "autoregressive", "transforms": 2, "univariate": ["affine", "spline"]}
    block = new(table)
    assert [f.numbers for f in block.functions] == [2, 23]
    check_block(block, 3, tolerance=1e-8)
    assert wopt.config_of(wopt.build("block", table))["univariate"] == ["affine", "spline"]
    with pytest.raises(wopt.ConfigError, match="2 functions for 3 transforms"):
        new(table | {"transforms": 3})


@pytest.mark.parametrize("whiten", [False, True])
def test_a_map_that_sees_images_is_the_inverse_of_one_that_sees_particles(new, whiten):
    table = {"name": "autoregressive", "hidden": [8], "bins": 4, "whiten": whiten}
    one, two = (new({**table, "sees": which}) for which in ("particles", "images"))
    x = draws(50, 3, size=2)
    one.initialise(x)
    for parameter in one.parameters():
        parameter.data += 0.1 * draws(*parameter.shape, seed=1)
    two.load_state_dict(one.state_dict())
    y, log_det = one(x)
    back, log_inverse = two(y)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(log_inverse, -log_det, rtol=0, atol=1e-10)
    assert torch.equal(two.inverse(x)[0], y)


def test_logarithmic_tails_are_the_closed_form():
    """The identity up to c = 1.1 * 20 = 22, and sign(y) (c + log(1 + |y| - c)) beyond."""
    function = monotone("spline", 4, 5.0, "logarithmic")
    function.double().initialise(torch.tensor([[-20.0, 1.0]]).double())
    x = torch.tensor([[-1e6, -22.0, -3.0, 0.0, 5.0, 23.0, 1e3, 1e12]]).double().requires_grad_()
    raw = torch.zeros(function.numbers, *x.shape).double()
    y, log_slopes = function(raw, x)
    beyond = (x.abs() - 22).clamp_min(0).log1p()
    expected = x.sign() * (x.abs().clamp_max(22) + beyond)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    (slopes,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slopes.exp(), slopes, rtol=1e-12, atol=0)
    back, log_inverse = function.inverse(raw, y)
    torch.testing.assert_close(back, x, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(log_inverse, -log_slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("tails", "nats"), [("linear", 1245.4), ("logarithmic", 38.2)])
def test_a_row_in_no_spike_costs_tens_of_nats(tails, nats):
    """At a slope of 100 half a unit is 50; with c = 5 that becomes 5 + log 46 = 8.83."""
    function = monotone("affine", 4, None, tails).double()
    function.initialise(torch.zeros(1, 1))
    level = math.log(100)
    raw = torch.tensor([level / (1 - level / -math.log(1e-3)), 0.0]).double()[:, None, None]
    y, log_slope = function(raw, torch.full((1, 1), 0.5).double())
    assert float(y.square() / 2 - log_slope) == pytest.approx(nats, abs=0.05)


def test_calibration_widens_the_law_and_never_narrows_it():
    """The identity on held-out points of deviation 2 is the law N(0, 4 I), in evaluation alone."""
    block = wopt_blocks.Autoregressive(3, tails="defensive").double().eval()
    x = draws(500, 3, size=2.0)
    x = 2 * x / x.square().mean().sqrt()
    assert block.calibrate(x)
    y, log_det = block(x)
    torch.testing.assert_close(y, x / 2, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_det, torch.full((500,), -3 * math.log(2)).double())
    torch.testing.assert_close(block.inverse(y)[0], x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(block.inverse(y)[1], -log_det)
    torch.testing.assert_close(block.train()(x)[0], x, rtol=1e-5, atol=1e-5)
    assert not block.eval().calibrate(x / 9)
    torch.testing.assert_close(block(x)[0], x, rtol=1e-5, atol=1e-5)


def test_defensive_tails_are_a_mixture_with_a_heavy_law():
    """exp(log N(y) + log G') is (1 - e) N(z) + e t_2(z), e = 1/n at first; and G is inverted."""
    tails = DefensiveTails(2).double()
    tails.initialise(torch.zeros(500, 2))
    tails.raw.data[1] = 0.7
    tails.requires_grad_(False)
    z = torch.cat([-torch.logspace(6, -2, 50), torch.logspace(-2, 6, 50)]).double().expand(2, -1)
    y, log_slopes = tails(z)
    normal = torch.distributions.Normal(0.0, 1.0)
    part = torch.tensor([[1 / 500], [500.0 ** -math.exp(-0.7)]]).double()
    heavy = torch.distributions.StudentT(torch.tensor(2.0).double()).log_prob(z).exp()
    expected = (1 - part) * normal.log_prob(z).exp() + part * heavy
    torch.testing.assert_close((normal.log_prob(y) + log_slopes).exp(), expected)
    back, log_inverse = tails.inverse(y)
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(log_inverse, -log_slopes)
    costs = -(normal.log_prob(y) + log_slopes)[0]
    assert float(costs.max()) < math.log(500) + 3 * math.log(1e6) + 1e-3


def test_layers_that_cannot_add_up_are_refused(new):
    with pytest.raises(wopt.ConfigError, match=r"\[8, 16\].*residual = false"):
        new({"name": "autoregressive", "hidden": [8, 16]})
    new({"name": "autoregressive", "hidden": [8, 16], "residual": False})


def test_maps_saved_before_images_moved_are_the_same(new):
    """Files of older maps hold one whitening, at both ends."""
    table = {"name": "autoregressive", "whiten": True}
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double() * 4 + 2
    old = new(table)
    old.initialise(x)
    saved = {k: v for k, v in old.state_dict().items() if not k.startswith("image.")}
    assert len(saved) == len(old.state_dict()) - 3
    loaded = torch.nn.ModuleList([new(table)])
    loaded.load_state_dict({f"0.{name}": value for name, value in saved.items()})
    assert torch.equal(loaded[0](x)[0], old(x)[0])
    assert torch.equal(loaded[0].inverse(x)[0], old.inverse(x)[0])
    with pytest.raises(RuntimeError, match=r"white\.mean"):
        new(table).load_state_dict({k: v for k, v in saved.items() if k != "white.mean"})
