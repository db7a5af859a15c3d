"""The flow: a normalised density, sampled and scored consistently, in the data's own units."""

import json
import math

import pytest
import torch

import wopt
from wopt import AffineTransform, Chain, Flow, Inverse
from wopt.errors import DamagedError
from wopt.interfaces import support_of
from wopt.runs.loading import load_run
from wopt.seeds import derive
from wopt.tensors import read_tensors, write_tensors
from wopt.testing import AffineBlock, NormalTarget


def ode(dim=2, seed=0, size=0.3, steps=12):
    block = wopt.build(
        "block", {"name": "ode", "width": 6, "activation": "tanh", "sharpness": 1.0, "steps": steps}
    ).build(dim=dim)
    rng = torch.Generator().manual_seed(seed)
    for p in block.parameters():
        p.data += size * torch.randn(p.shape, generator=rng)
    return block.double().freeze()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def whitening(dim=2, seed=3):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(400, dim, dtype=torch.float64, generator=rng)
    x = x @ torch.randn(dim, dim, dtype=torch.float64, generator=rng) + 2
    return AffineTransform.fit(x, "whiten")


@pytest.fixture
def flow():
    return Flow(Chain([ode(seed=1), ode(seed=2)], whitening()), wopt.build("target", "gaussian"))


@pytest.fixture
def grid():
    """Return points and the cell's area of a square that holds nearly all of the mass."""

    def make(flow, half=9.0, count=240):
        axis = torch.linspace(-half, half, count, dtype=torch.float64)
        z = torch.cartesian_prod(axis, axis)
        x = flow.transform.inverse(z)[0]
        area = float(axis[1] - axis[0]) ** 2 / math.exp(flow.transform(x)[1][0])
        return x, area

    return make


def test_the_density_integrates_to_one(flow, grid):
    x, area = grid(flow)
    assert float(flow.log_prob(x).exp().sum()) * area == pytest.approx(1, abs=1e-4)


def test_samples_carry_their_own_density(flow):
    x, log_density = flow.sample_and_log_prob(300, generator=seeded(4))
    assert x.shape == (300, 2)
    torch.testing.assert_close(log_density, flow.log_prob(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(log_density, flow.log_prob(x, audit=True), rtol=0, atol=1e-4)


def test_samples_follow_the_density(flow, grid):
    x, area = grid(flow)
    weights = flow.log_prob(x).exp() * area
    mean = weights @ x
    covariance = (x - mean).T @ ((x - mean) * weights[:, None])
    samples = flow.sample(40_000, generator=seeded(1))
    error = (covariance.diagonal() / len(samples)).sqrt()
    assert ((samples.mean(0) - mean).abs() < 4 * error).all()
    torch.testing.assert_close(torch.cov(samples.T), covariance, rtol=0.05, atol=0.02)


def test_samples_are_drawn_anew_each_call_from_the_generator_that_is_given(flow):
    first = flow.sample(5, generator=seeded(1))
    assert torch.equal(first, flow.sample(5, generator=seeded(1)))
    assert not torch.equal(first, flow.sample(5, generator=seeded(2)))
    torch.manual_seed(0)
    one, two = flow.sample(5), flow.sample(5)
    assert not torch.equal(one, two)
    torch.manual_seed(0)
    assert torch.equal(one, flow.sample(5))


def test_forward_and_inverse(flow):
    x = flow.sample(50)
    y, log_det = flow(x)
    back, log_inverse = flow.inverse(y)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_inverse, -log_det, rtol=0, atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda p: flow(p[None])[0][0], x[0])
    expected = torch.linalg.slogdet(jacobian)[1]
    assert float(log_det[0]) == pytest.approx(float(expected), abs=1e-5)


def test_an_affine_flow_is_the_gaussian_it_must_be():
    block = AffineBlock(2).double()
    block.matrix.data = torch.tensor([[0.5, 0.2], [0.0, 2.0]]).double()
    block.shift.data = torch.tensor([1.0, -3.0]).double()
    target = NormalTarget(mean=[0.0, 1.0], covariance=[[2.0, 0.3], [0.3, 1.0]])
    transform = whitening()
    flow = Flow(Chain([block.freeze()], transform), target)
    # x = t^-1 (A^-1 (z - b)), so its law is Gaussian with these moments.
    inverse = transform.inverse_matrix @ torch.linalg.inv(block.matrix)
    mean = (
        transform.inverse_matrix @ torch.linalg.solve(block.matrix, target.mean - block.shift)
        + transform.shift
    )
    law = torch.distributions.MultivariateNormal(mean, inverse @ target.covariance @ inverse.T)
    x = law.sample((20,))
    torch.testing.assert_close(flow.log_prob(x), law.log_prob(x), rtol=0, atol=1e-10)
    y, log_density = flow.sample_and_log_prob(20)
    torch.testing.assert_close(log_density, law.log_prob(y), rtol=0, atol=1e-10)


def test_a_push_forward_is_the_inverse_map_with_the_start_for_its_base():
    law = torch.distributions.MultivariateNormal(
        torch.tensor([1.0, 2.0]).double(), torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    )
    block, none = ode(seed=5), AffineTransform.fit(torch.randn(9, 2), "none")
    target = wopt.build("target", "gaussian")
    forth = Flow(Inverse(Chain([block], none)), law)
    y, log_density = forth.sample_and_log_prob(400, generator=seeded(6))
    torch.testing.assert_close(log_density, forth.log_prob(y), rtol=0, atol=1e-5)
    # By hand: y = T(x), density that of x over |det DT|.
    x, log_inverse = block.inverse(y)
    torch.testing.assert_close(log_density, law.log_prob(x) + log_inverse, rtol=0, atol=1e-5)
    back = Flow(Chain([block], none), target)
    by_hand = target.potential(block(y)[0]).neg() + block(y)[1]
    torch.testing.assert_close(back.log_prob(y), by_hand, rtol=0, atol=1e-10)
    assert not torch.allclose(back.log_prob(y), forth.log_prob(y), atol=0.1)


class Doubled(wopt.Bijection):
    """A stranger's map y = 2 x of the line."""

    def forward(self, x):
        return 2 * x, torch.full_like(x[:, 0], math.log(2))

    def inverse(self, y):
        return y / 2, torch.full_like(y[:, 0], -math.log(2))


def test_a_list_of_bijections_is_a_flow_in_either_direction():
    normal = torch.distributions.MultivariateNormal(torch.zeros(1).double(), torch.eye(1).double())
    back = Flow([Doubled(), support_of({"x": "positive"}, ("x",))], normal).inverted()
    exact = torch.distributions.LogNormal(torch.tensor(0.0).double(), 2.0)  # of exp(2 z)
    y, log_density = back.sample_and_log_prob(50, generator=seeded(7))
    torch.testing.assert_close(log_density, exact.log_prob(y[:, 0]))
    torch.testing.assert_close(back.log_prob(y), log_density)
    assert back.log_prob(torch.tensor([[-1.0]])).tolist() == [-math.inf]
    z, log_det = back.inverted()(y)
    torch.testing.assert_close((z, log_det), back.inverse(y))
    with pytest.raises(wopt.DataError, match="dimension"):
        Flow([Doubled()], wopt.build("target", "gaussian"))


@pytest.mark.parametrize("own", ["potential", "log_prob", "nothing"])
def test_log_prob_and_potential_follow_from_each_other(own):
    sign = 1 if own == "potential" else -1
    methods = {} if own == "nothing" else {own: lambda self, x: sign * x.square().sum(1) / 2}
    law = type("Mine", (wopt.Law,), {**methods, "provides": wopt.Capability.POTENTIAL})()
    x = torch.tensor([[1.0, 2.0]])
    if own == "nothing":
        with pytest.raises(wopt.CapabilityError, match="POTENTIAL"):
            law.potential(x)
        return
    assert (law.potential(x).tolist(), law.log_prob(x).tolist()) == ([2.5], [-2.5])
    assert law.score(x).tolist() == [[-1.0, -2.0]]
    assert not law.normalised


def test_a_base_law_has_one_event_of_rows():
    none = AffineTransform.fit(torch.randn(9, 2), "none")
    with pytest.raises(wopt.DataError, match="Independent"):
        Flow(Chain([], none), torch.distributions.Normal(torch.zeros(2), torch.ones(2)))


def test_what_a_target_must_provide():
    target = wopt.build("target", {"name": "potential", "function": lambda x: x.square().sum(1)})
    flow = Flow(Chain([], whitening()), target)
    with pytest.raises(wopt.CapabilityError, match="NORMALISED"):
        flow.log_prob(torch.zeros(3, 2))
    with pytest.raises(wopt.CapabilityError, match="TARGET_SAMPLES"):
        flow.sample(3)
    with pytest.raises(wopt.CapabilityError, match="has no target"):
        Flow(Chain([], whitening()), None).log_prob(torch.zeros(3, 2))


def test_the_distribution_view(flow):
    law = flow.distribution()
    assert isinstance(law, torch.distributions.Distribution)
    assert (law.batch_shape, law.event_shape) == ((), (2,))
    torch.manual_seed(0)
    x = law.sample((3, 4))
    assert x.shape == (3, 4, 2)
    assert law.sample().shape == (2,)
    log_density = law.log_prob(x)
    assert log_density.shape == (3, 4)
    torch.testing.assert_close(log_density.reshape(-1), flow.log_prob(x.reshape(-1, 2)))
    torch.manual_seed(0)
    assert torch.equal(law.sample((3, 4)), x)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 1), (2, 5, 2), ()])
def test_a_wrong_shape_is_refused(flow, shape):
    for ask in (flow, flow.inverse, *([] if shape == (2, 5, 2) else [flow.log_prob])):
        with pytest.raises(wopt.DataError, match="rows of 2 columns"):
            ask(torch.zeros(shape))


def test_shapes_batch_as_in_torch(flow):
    x = flow.sample((3, 4))
    assert (x.shape, flow.sample().shape) == ((3, 4, 2), (2,))
    assert flow.log_prob(x).shape == (3, 4)
    assert flow.log_prob(x[0, 0]).shape == ()
    torch.testing.assert_close(flow.log_prob(x).reshape(-1), flow.log_prob(x.reshape(-1, 2)))


def test_many_rows_go_through_in_parts(flow):
    x = flow.sample(20_000)
    log_density = flow.log_prob(x)
    assert len(log_density) == 20_000
    torch.testing.assert_close(log_density[-3:], flow.log_prob(x[-3:]), rtol=0, atol=1e-10)


def test_a_flow_is_frozen(flow):
    assert not flow.training
    assert not any(p.requires_grad for p in flow.parameters())


def test_a_run_is_read_back_as_its_flow(finished_run):
    loaded = load_run(finished_run)
    assert (loaded.names, loaded.flow.dim, len(loaded.flow.blocks)) == (("x0", "x1"), 2, 2)
    data = loaded.config.source.load(derive(3, "source"))
    nll = -float(loaded.flow.log_prob(data.test, audit=True).double().mean())
    held = json.loads((finished_run / "result.json").read_text())["nll_test"]
    assert nll == pytest.approx(held, abs=1e-5)
    assert torch.equal(wopt.load(finished_run).log_prob(data.test), loaded.flow.log_prob(data.test))


def test_the_trajectory_leads_from_the_preprocessed_rows_to_the_base(flow):
    x = flow.sample(50)
    path = flow.trajectory(x)
    assert path.shape == (3, 50, 2)
    torch.testing.assert_close(path[0], flow.transform.move(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(path[-1], flow(x)[0], rtol=0, atol=1e-12)
    back = flow.trajectory(path[-1], reverse=True)
    torch.testing.assert_close(back.flip(0), path, rtol=0, atol=1e-5)


def test_as_a_flow_of_zuko_only_with_its_plugin(flow, session, monkeypatch):
    """The core imports no plugin: the converter is in the registry."""
    monkeypatch.setattr(session, "_functions", {})
    with pytest.raises(wopt.UserError, match=r"needs a plugin .*zuko.*wopt-zuko"):
        flow.to_zuko()


def test_a_file_that_declares_many_blocks_is_refused_at_the_first(flow, tmp_path):
    flow.save(tmp_path / "flow.safetensors")
    tensors, metadata = read_tensors(tmp_path / "flow.safetensors")
    about = json.loads(metadata["flow"])
    about["blocks"] = about["blocks"][:1] * 20_000
    write_tensors(tmp_path / "many.safetensors", tensors, {"flow": json.dumps(about)})
    with pytest.raises(DamagedError, match=f"block {len(flow.blocks)} has no "):
        wopt.load(tmp_path / "many.safetensors")
    about |= {"blocks": [], "support": {"0": 3}}
    write_tensors(tmp_path / "bad.safetensors", {}, {"flow": json.dumps(about)})
    with pytest.raises(DamagedError):
        wopt.load(tmp_path / "bad.safetensors")
