"""run.precision: nets trained in fewer bits, log-dets in float32, audits in float64."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

import wopt
from wopt import Capability, ConfigError
from wopt.config.model import validate
from wopt.errors import CapabilityError
from wopt.host import host
from wopt.interfaces.block import audit_of
from wopt.precision import affine_product, lowered
from wopt.runs.execute import run_config
from wopt.runs.preparation import prepare

BF16 = 2**-8
"""Relative error of one rounding."""

OTHERS = [
    {"name": "ode", "net": "gradient", "depth": 2},
    {"name": "ode", "net": "deep"},
    {"name": "ode", "net": "conv"},
]
TABLE = {
    "seed": 1,
    "source": {"name": "toy", "n_train": 400, "n_valid": 200, "n_test": 200},
    "block": {"name": "ode", "width": 16, "steps": 2},
    "solver": {"iterations": 12, "batch_size": 100},
    "stop": {"steps": 1},
}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rounded_blocks():
    found = []
    for entry in host().registry.entries("block"):
        made = wopt.build("block", entry.qualified).build(dim=4)
        if entry.plugin != "session" and Capability.ROUNDED in made.provides:
            found.append({"name": entry.qualified})
    return found + OTHERS


def in_bf16(block, action):
    with lowered(block, "bf16"):
        return action()


def test_a_product_rounds_its_inputs_and_its_gradients_alike():
    a, w, bias = normal(7, 5).requires_grad_(), normal(5, 3, seed=1).requires_grad_(), normal(3)
    exact = (a.bfloat16().double() @ w.bfloat16().double()).float()
    made = affine_product(a, w, bias, "bf16")
    assert made.dtype == torch.float32
    torch.testing.assert_close(made - bias, exact, rtol=2 * BF16, atol=1e-6)
    assert not torch.equal(made - bias, a @ w)
    (of_a,) = torch.autograd.grad(made.square().sum(), a, create_graph=True)
    torch.testing.assert_close(of_a, 2 * (a @ w + bias) @ w.T, rtol=0.02, atol=0.1)
    (again,) = torch.autograd.grad(of_a.sum(), w)  # second derivatives go through products too
    (known,) = torch.autograd.grad((2 * (a @ w + bias) @ w.T).sum(), w)
    assert float((again - known).norm() / known.norm()) < 0.02


@pytest.mark.parametrize("options", rounded_blocks(), ids=str)
def test_blocks_agree_to_bf16_and_give_log_dets_in_float32(options):
    torch.manual_seed(0)
    width = {} if "autoregressive" in options["name"] else {"width": 32}
    block = wopt.build("block", {**options, **width}).build(dim=4)
    for parameter in block.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    x = normal(50, 4)

    def passed():
        torch.manual_seed(1)  # a jittered grid is drawn
        y, log_det = block.train()(x)
        block.zero_grad()
        (y.square().sum(1) / 2 - log_det).mean().backward()
        return y, log_det, torch.cat([p.grad.reshape(-1) for p in block.parameters()])

    exact, rounded = passed(), in_bf16(block, passed)
    assert [t.dtype for t in rounded] == [torch.float32] * 3
    assert not torch.equal(exact[0], rounded[0])
    for one, other in zip(exact, rounded, strict=True):
        assert float((one - other).detach().norm() / one.detach().norm()) < 8 * BF16


def test_the_trace_of_a_net_is_not_rounded():
    """At the origin no rounded product is an argument, so only the trace's own could be rounded."""
    options = {"name": "ode", "net": "deep", "depth": 1, "width": 8, "sharpness": 1.0}
    net = wopt.build("block", options).build(dim=2).net
    net.last.weight.data = normal(2, 8)
    x = torch.zeros(3, 2)
    v, rate = in_bf16(net, lambda: net.field(True)(0.5, x))
    exact = net.field(True)(0.5, x)
    assert torch.equal(rate, exact[1])
    assert not torch.equal(v, exact[0])


def test_audits_are_in_float64_and_come_back_in_the_dtype_of_points():
    block = wopt.build("block", {"name": "ode", "width": 8}).build(dim=2).freeze()
    block.net.last.weight.data += 0.5 * normal(2, 8)
    x = normal(30, 2)
    block.precision = "bf16"
    y, log_det = audit_of(block)(x)
    exact = wopt.build("block", {"name": "ode", "width": 8}).build(dim=2).double()
    exact.load_state_dict({k: v.double() for k, v in block.state_dict().items()})
    at, known = exact.audit(x.double())
    assert y.dtype == log_det.dtype == torch.float32
    assert torch.equal(log_det, known.float())
    assert torch.equal(y, at.float())


def test_a_run_measures_in_float64_what_it_trained_in_bf16(tmp_path, monkeypatch):
    dtypes = set()

    def audited(cls):
        audit = cls.audit

        def seen(self, x, *args):
            dtypes.add(x.dtype)
            return audit(self, x, *args)

        monkeypatch.setattr(cls, "audit", seen)

    audited(type(wopt.build("block", "ode").build(dim=2)))
    exact = run_config(
        validate({**TABLE, "certify": {"enabled": False}}), tmp_path / "one", report=False
    )
    assert dtypes == {torch.float32}
    dtypes.clear()
    output = {**TABLE, "run": {"precision": "bf16"}, "certify": {"challenge": False}}
    rounded = run_config(validate(output), tmp_path / "two", report=False)
    assert dtypes == {torch.float64}
    assert (tmp_path / "two" / "certificate.json").exists()
    assert rounded.nll_test != exact.nll_test
    assert abs(rounded.nll_test - exact.nll_test) < 0.02  # nats; standard error of either is 0.08
    assert rounded.inversion_error < 1e-4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"run": {"precision": "tf32"}}, "is a format of CUDA devices"),
        ({"dtype": "float64"}, 'not dtype = "float64"'),
        ({"solver": {"optimiser": "lbfgs"}}, "solver lbfgs does not bear"),
        ({"solver": {"by_step": [1.0, {"optimiser": "lbfgs"}]}}, "solver lbfgs does not bear"),
    ],
)
def test_what_does_not_go_together_is_refused(change, told):
    with pytest.raises(ConfigError, match=told):
        prepare(validate({**TABLE, "run": {"precision": "bf16"}, **change}))


def test_a_fit_takes_what_a_run_does():
    """By the same builder: rounded in training, measured in float64, refused by name."""
    x, options = normal(300, 2), {"solver": {"iterations": 8}, "stop": {"steps": 1}}
    block = {"name": "ode", "width": 8, "steps": 1}
    exact = wopt.fit(x, block=block, **options)
    rounded = wopt.fit(x, block=block, precision="bf16", **options)
    assert rounded.prepared.config.run.precision == "bf16"
    one, other = exact.flow.log_prob(x), rounded.flow.log_prob(x)
    assert 0 < float((one - other).abs().max()) < 0.2
    cheap = {"challenge": False, "transport_rows": 0, "iterations": 0}
    found, known = (s.certificate(**cheap).steps[0].residual for s in (rounded, exact))
    assert found.value == pytest.approx(known.value, abs=0.1)
    with pytest.raises(CapabilityError, match=r"block Affine is not written for run\.compile"):
        wopt.fit(x, block="affine", compile=True, **options)
    nodes = wopt.Particles.start(x)
    with pytest.raises(CapabilityError, match=r"run\.precision needs ROUNDED, and block Affine"):
        wopt.solve(nodes, block="affine", precision="bf16", **options)
    with pytest.raises(ConfigError, match='not dtype = "float64"'):
        wopt.solve(nodes, block=block, precision="bf16", dtype="float64", **options)


@pytest.mark.parametrize("net", ["two_layer", "gradient", "conv"])
def test_what_is_compiled_is_the_velocity_in_training(net):
    block = wopt.build("block", {"name": "ode", "width": 8, "net": net}).build(dim=4)
    for parameter in block.parameters():
        parameter.data += 0.1 * normal(*parameter.shape)
    x, calls = normal(5, 4), []

    def compiler(function):
        return lambda *given: calls.append(given) or function(*given)

    def mapped():
        torch.manual_seed(0)
        return [*block.train()(x), block.train().move(x)]

    exact = mapped()
    block.compile_training(compiler)
    made = mapped()
    assert len(calls) == 32  # two passes of four steps of four stages
    assert all(isinstance(time, torch.Tensor) for _, time, _ in calls)  # no constants of the code
    block.eval()(x)
    block.compile_training(None)
    block.train()(x)
    assert len(calls) == 32
    for one, other in zip(exact, made, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
def test_a_compiled_run_agrees_to_rounding(tmp_path):
    ends = []
    for number, code in enumerate((False, True)):
        output = {**TABLE, "run": {"compile": code}, "certify": {"enabled": False}}
        ends.append(run_config(validate(output), tmp_path / str(number), report=False))
    assert ends[0].nll_test == pytest.approx(ends[1].nll_test, abs=1e-3)
    assert ends[0].nll_test != ends[1].nll_test


def test_tf32_is_asked_of_the_device_in_products_alone():
    class Seen(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in (torch.Tensor.matmul, torch.Tensor.__matmul__):
                flags.append(torch.backends.cuda.matmul.allow_tf32)
            return function(*args, **(kwargs or {}))

    flags: list[bool] = []
    a = normal(3, 3).requires_grad_()
    with Seen():
        affine_product(a, a, None, "tf32").sum().backward()
        _ = a @ a
    assert flags[0]
    assert not flags[-1]
    assert not torch.backends.cuda.matmul.allow_tf32
