"""Every net, integrator and option of the block ``ode`` obeys the laws of blocks."""

from importlib.util import find_spec

import pytest
import torch
from by_hand import jacobians, normal

import wopt
from wopt.testing import check_block
from wopt_jko import ODEBlock
from wopt_jko.ode import integrated as module
from wopt_jko.ode.conv import Window

NETS = [
    {"net": "two_layer"},
    {"net": "gradient"},
    {"net": "gradient", "depth": 2},
    {"net": "deep"},
    {"net": "deep", "depth": 1},
]
adaptive = pytest.mark.skipif(find_spec("torchdiffeq") is None, reason="an extra: torchdiffeq")
INTEGRATORS = ["euler", "midpoint", "rk4", pytest.param("dopri5", marks=adaptive)]
nets = pytest.mark.parametrize("options", NETS, ids=lambda o: "-".join(map(str, o.values())))
integrators = pytest.mark.parametrize("integrator", INTEGRATORS)
pairs = pytest.mark.parametrize(
    ("options", "integrator"),
    [
        *((net, "rk4") for net in NETS),
        (NETS[0], "euler"),
        (NETS[0], "midpoint"),
        pytest.param(NETS[0], "dopri5", marks=adaptive),
    ],
)
"""Each net by one integrator, one net by each; all together are slow."""

# The log-det is the integral of the divergence, and the inverse the same method backwards: both
# are those of the map up to its discretisation, of this size on the grid the laws are checked on.
TOLERANCE = {"euler": 1e-2, "midpoint": 1e-4, "rk4": 1e-8, "dopri5": 1e-8}


def small(dim=3, **options):
    options = {"width": 6, "sharpness": 1.0, "steps": 1} | options
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ODEBlock(dim, **options)


def obeys(integrator, options, condition=1):
    made = small(2, condition=condition, integrator=integrator, **options)
    done = check_block(made, 2, condition=condition, tolerance=TOLERANCE[integrator])
    assert {"log_det_is_exact", "inverse_returns", "divergence_is_exact"} <= set(done)
    assert ("half_way_log_det" in done) == (integrator != "dopri5")


def test_a_convolution_obeys_the_laws():
    made = small(5, condition=1, net="conv", window=Window((2, 3), 3, (1, 2)))
    done = check_block(made, 5, condition=1, tolerance=TOLERANCE["rk4"])
    assert {"log_det_is_exact", "inverse_returns", "divergence_is_exact"} <= set(done)


def test_a_window_of_a_file():
    table = {"name": "ode", "net": "conv", "width": 6, "window": {"image": [2, 3], "kernel": 3}}
    block = wopt.build("block", table).build(dim=6)
    assert block.net.window == Window((2, 3), 3)


@pairs
def test_every_net_and_integrator_obeys_the_laws(options, integrator):
    obeys(integrator, options | {"time": integrator == "rk4"})


@pytest.mark.slow
@nets
@integrators
@pytest.mark.parametrize("condition", [0, 1])
@pytest.mark.parametrize("activation", ["softplus", "silu", "tanh"])
@pytest.mark.parametrize("time", [True, False])
def test_all_together_obey_the_laws(options, integrator, condition, activation, time):
    obeys(integrator, options | {"activation": activation, "time": time}, condition)


def trained(dim=3, size=0.3, seed=1, **options):
    """Return a block in float64 whose map is far from the identity."""
    made = small(dim, **options).double()
    rng = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.data += size * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
    return made


# What was there stays what it was.


def test_old_checkpoints_load():
    made, again = trained(), small(3).double()
    old = {k.replace("hidden.0", "second"): v for k, v in made.state_dict().items()}
    assert "net.second.weight" in old
    again.load_state_dict(old)  # a run of the first versions
    assert torch.equal(again(normal(12, 3, 2))[0], made(normal(12, 3, 2))[0])


def test_the_default_is_two_layers_by_rk4():
    given = {"net": "two_layer", "depth": 2, "integrator": "rk4", "divergence": "exact"}
    plain, named = trained().eval(), trained(**given).eval()
    x = normal(12, 3, 2)
    for method in ("forward", "inverse", "velocity", "half_way", "forward_with_action"):
        for one, other in zip(getattr(plain, method)(x), getattr(named, method)(x), strict=True):
            assert torch.equal(one, other)


# Conditions.


@pairs
def test_conditions_steer(options, integrator):
    made = trained(2, condition=2, integrator=integrator, **options).eval().requires_grad_(False)
    x, c = normal(12, 4, 2).split(2, dim=1)
    (y, log_det), (z, other_log_det) = made(x, c), made(x, c + 1)
    assert float((z - y).abs().min()) > 1e-6
    assert float((other_log_det - log_det).abs().max()) > 1e-4
    assert not torch.equal(made.audit(x, c)[0], made.audit(x, c + 1)[0])
    now = torch.zeros(len(x)).to(x)
    assert not torch.equal(made.field(now, x, c), made.field(now, x, c + 1))


# Gradients of potentials.


@pytest.mark.parametrize("depth", [1, 2])
def test_one_euler_step_of_a_gradient_is_a_gradient(depth):
    made = trained(net="gradient", depth=depth, integrator="euler", steps=1).eval()
    x = normal(12, 3, 2)
    jacobian = jacobians(made.move, x)
    assert float((jacobian - jacobian.mT).abs().max()) < 1e-13
    assert float((jacobian - torch.eye(3).double()).abs().max()) > 0.1
    other = trained(net="two_layer", integrator="euler", steps=1).eval()
    jacobian = jacobians(other.move, x)
    assert float((jacobian - jacobian.mT).abs().max()) > 1e-2


@pytest.mark.parametrize("depth", [1, 2])
def test_the_flow_of_a_gradient_is_symmetric_to_first_order(depth):
    """DT - DT^T is of second order in v: a tenth of v leaves a hundredth."""
    asymmetries, sizes = [], []
    for scale in (1e-2, 1e-3):
        made = trained(net="gradient", depth=depth, steps=8).eval()
        made.net.outer.data *= scale
        made.net.shift.data *= scale
        jacobian = jacobians(made.move, normal(12, 3, 2))
        asymmetries.append(float((jacobian - jacobian.mT).norm()))
        sizes.append(float((jacobian - torch.eye(3).double()).norm()))
    assert sizes[0] / sizes[1] == pytest.approx(10, rel=0.1)
    assert asymmetries[0] / asymmetries[1] == pytest.approx(100, rel=0.2)
    assert asymmetries[1] > 1e-11


# Estimates.


@pytest.mark.parametrize("net", ["gradient", "deep"])
def test_training_estimates_and_evaluation_does_not(net):
    options = {"net": net, "depth": 3, "jitter": 0.0}
    made = trained(divergence="hutchinson", **options)
    exact = trained(**options).eval()
    x = normal(12, 3, 2)
    y, log_det = exact(x)
    torch.manual_seed(0)
    first, second = made.train()(x), made(x)
    torch.manual_seed(0)
    assert torch.equal(made(x)[1], first[1])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    torch.testing.assert_close(first[0], y, rtol=0, atol=1e-13)
    assert torch.equal(made.audit(x)[1], exact.audit(x)[1])
    assert torch.equal(made.eval()(x)[1], log_det)
    assert torch.equal(made(x)[1], made(x)[1])


def test_the_estimate_is_without_bias():
    made = trained(net="deep", divergence="hutchinson", jitter=0.0)
    x = normal(12, 3, 2)
    exact = made.eval()(x)[1].mean()
    torch.manual_seed(0)
    with torch.no_grad():
        draws = torch.stack([made.train()(x)[1].mean() for _ in range(400)])
    error = draws.std() / len(draws) ** 0.5
    assert float(error) < 0.01
    assert abs(float((draws.mean() - exact).detach())) < 3 * float(error)


@pytest.mark.parametrize(
    "options", [{"net": "two_layer"}, {"net": "gradient"}, {"net": "deep", "depth": 2}]
)
def test_a_closed_form_is_not_estimated(options):
    with pytest.raises(wopt.ConfigError, match="closed form, cheaper than an estimate"):
        small(divergence="hutchinson", **options)


# The adaptive integrator.

ROUGH = {"size": 0.6, "sharpness": 2.0}
"""Of a flow that a few steps do not get right."""


@adaptive
def test_adaptive_maps_tend_to_those_on_fine_grids():
    x = normal(12, 3, 2)
    fine = trained(integrator="rk4", steps=512, **ROUGH).eval()(x)
    errors = []
    for rtol in (1e-3, 1e-6, 1e-9):
        found = trained(integrator="dopri5", rtol=rtol, atol=rtol, **ROUGH).eval()(x)
        gaps = [(a - b).detach().abs().max() for a, b in zip(found, fine, strict=True)]
        errors.append(float(max(gaps)))
    assert errors[0] > 1e-3
    assert errors[1] < 1e-4
    assert errors[2] < 1e-7


@adaptive
def test_adaptive_training_differentiates_what_was_computed():
    """The gradient of the discrete map, by differences: the accepted steps do not move."""
    made = trained(integrator="dopri5", rtol=1e-9, atol=1e-9)
    x = normal(12, 3, 2)
    weight = made.net.hidden[0].weight

    def loss():
        y, log_det, action = made.forward_with_action(x)
        return y.square().sum() - log_det.sum() + action.sum()

    (found,) = torch.autograd.grad(loss(), weight)
    h = 1e-4
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            weight[1, 2] += sign * h
            values.append(loss())
            weight[1, 2] -= sign * h
    assert float(found[1, 2]) == pytest.approx(float(values[0] - values[1]) / (2 * h), rel=1e-5)


@adaptive
def test_one_map_whatever_is_asked_of_it():
    made = trained(integrator="dopri5", rtol=1e-2, atol=1e-2).eval()
    x = normal(12, 3, 2)
    y, log_det = made(x)
    # Down to rounding: the activations are computed otherwise where no slope is wanted.
    torch.testing.assert_close(made.move(x), y, rtol=0, atol=1e-13)
    again = made.forward_with_action(x)
    assert torch.equal(again[0], y)
    assert torch.equal(again[1], log_det)
    assert torch.equal(made.train()(x)[0], y)


@adaptive
def test_refining_asks_for_two_digits_more_and_is_saved():
    made = trained(integrator="dopri5", rtol=1e-3, atol=1e-3, **ROUGH).eval().requires_grad_(False)
    x = normal(12, 3, 2)
    truth = trained(integrator="rk4", steps=512, **ROUGH).eval().move(x).detach()
    errors = [float((made.move(x) - truth).abs().max())]
    while made.refine():
        errors.append(float((made.move(x) - truth).abs().max()))
    assert int(made.tightened) == len(errors) - 1 == 5
    assert errors[1] < errors[0] / 5
    assert errors[3] < 1e-8
    assert not made.refine()
    other = trained(integrator="dopri5", rtol=1e-3, atol=1e-3, seed=5, **ROUGH).eval()
    other.load_state_dict(made.state())
    assert torch.equal(other.move(x), made.move(x))
    warm = trained(integrator="dopri5", seed=5).eval()
    warm.warm_start(made)
    assert int(warm.tightened) == 0
    assert torch.equal(warm.net.first.weight, made.net.first.weight)


@adaptive
def test_float32_is_not_asked_for_the_impossible():
    made = trained(integrator="dopri5").float().eval()
    assert made.refine()
    assert not made.refine()
    assert torch.isfinite(made(normal(12, 3, 2).float())[0]).all()


@adaptive
def test_a_flow_that_explodes_is_nan():
    made = trained(integrator="dopri5")
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1e30)
    y, log_det, action = made.forward_with_action(1e30 * normal(12, 3, 2))
    assert all(part.isnan().all() for part in (y, log_det, action))


def test_without_torchdiffeq_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(module.adaptive.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(wopt.ConfigError, match=r"pip install \"wopt-jko\[adaptive\]\""):
        small(integrator="dopri5")
    small(integrator="rk4")


# Only what is asked for.


class Watched:
    """Counts evaluations of a net's field, and which asked for the divergence."""

    def __init__(self, monkeypatch, net):
        self.calls = []
        plain = net.field

        def field(divergence, *rest):
            found = plain(divergence, *rest)

            def counted(t, z):
                self.calls.append(divergence)
                return found(t, z)

            return counted

        monkeypatch.setattr(net, "field", field)


@nets
@pytest.mark.parametrize(("integrator", "stages"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_no_divergence_that_nobody_asked_for(monkeypatch, options, integrator, stages):
    made = trained(steps=3, integrator=integrator, **options)
    watched = Watched(monkeypatch, made.net)
    made.move(normal(12, 3, 2))
    assert watched.calls == [False] * 3 * stages
    watched.calls.clear()
    made.forward(normal(12, 3, 2))
    assert watched.calls == [True] * 3 * stages


@nets
def test_a_velocity_without_time_is_evaluated_once(monkeypatch, options):
    timed, still = trained(**options), trained(time=False, **options)
    x = normal(12, 3, 2)
    for made, expected in ((timed, 3), (still, 1)):
        watched = Watched(monkeypatch, made.net)
        u, divergence = made.velocity(x)
        assert len(watched.calls) == expected
        v, rate = made.net.field(True)(0.5, x)
        assert torch.equal(u, v) == torch.equal(divergence, rate) == (expected == 1)


# Training and configuration.


@pairs
def test_every_option_trains(options, integrator):
    made = small(2, width=8, integrator=integrator, **options).double().train()
    optimiser = torch.optim.Adam(made.parameters(), lr=2e-2)
    kl, losses = wopt.build("objective", "kl"), []
    start = wopt.Particles.start(2 * normal(60, 2, 2))
    for _ in range(12):
        optimiser.zero_grad()
        loss = kl.energy(start.moved(*made(start.points)))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
