"""Training on a device that refuses silent transfers: none are made, and the map is the CPU's."""

import contextlib
import copy
import itertools

import pytest
import torch
from pretended import AT, Device, OnDevice, Transfer

import wopt
from wopt import Training
from wopt.config.model import validate
from wopt.data.columns import Columns
from wopt.data.table_transform import fit_transform
from wopt.host import host
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.runs.preparation import prepare
from wopt.train.batches import Average, BatchTraining, Readings
from wopt.train.solver import InnerSolver, minimise
from wopt.train.steps import iterate

N = 24

READS = {
    "particles": "its nearest particles are found on the CPU",
    "mixture": "its search on a line ends when all points have arrived",
    "coupling": "zuko's, whose coupling takes coordinates by a mask",
    "zuko": "zuko's, whose coupling takes coordinates by a mask",
    "dual_f_divergence": "its critic is found by Newton's method, which looks at its gain",
    "sinkhorn": "its plan is found by iterations that look at their error",
    "wasserstein": "its plan is found on the CPU",
    "barycenter": "its plans are found on the CPU",
    "entropic_jko": "its plan is found by iterations that look at their error",
}
"""What reads values at every evaluation, and why: there a device is waited for."""

FAST = ("ode", "kl", "mmd", "jko")
"""Of which the fast suite makes sure; the others are slow for their number."""


def entries(kind):
    found = [e for e in host().registry.entries(kind) if e.plugin != "session"]
    marks = {e: [pytest.mark.slow] * (e.name not in FAST) for e in found}
    marked = [pytest.param(e, marks=marks[e], id=e.qualified) for e in found]
    return pytest.mark.parametrize("entry", marked)


def crosses(entry):
    """Return what expects a transfer of those that are known to read, and none of the others."""
    return pytest.raises(Transfer) if entry.name in READS else contextlib.nullcontext()


@pytest.fixture
def device(monkeypatch):
    """The device, whose loop is that of the inner solver; losses may be read where they are."""
    made = Device()
    descent, update, read = BatchTraining._descent, Average.update, Readings.read

    def forbidden(self):
        descend = descent(self)

        def inside(*given):
            with made.loop():
                return descend(*given)

        return inside

    def averaged(self, block):
        with made.loop():
            update(self, block)

    def allowed(self):
        with made.loop(forbids=False):
            return read(self)

    monkeypatch.setattr(BatchTraining, "_descent", forbidden)
    monkeypatch.setattr(Average, "update", averaged)
    monkeypatch.setattr(Readings, "read", allowed)
    return made


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def trained(spec, objective, at, optimiser="adam"):
    """Return the parameters of a block after three iterations on a device."""
    torch.manual_seed(0)
    block = copy.deepcopy(spec.build(dim=2)).to(at)
    x = normal(N, 2).to(at)
    start = Particles.start(x, log_density=-x.square().sum(1) / 2)
    block.initialise(x)
    sub = Subproblem(start, x, 0.5, objective)
    objective.energy(start)  # a run begins with that: bandwidths are found
    solver = InnerSolver(iterations=3, batch_size=8, check_every=100, optimiser=optimiser, ema=0.5)
    keys, drawn = itertools.count(), [sub]

    def renew():
        drawn[0] = sub.drawn(next(keys))

    minimise(
        solver,
        Training(block, lambda block, rows: drawn[0].rows(rows).loss(block), N, before_each=renew),
    )
    return [p.detach() for p in block.parameters()]


def same_on(device, make):
    with device:
        there = make(AT)
        assert all(isinstance(p, OnDevice) for p in there)
        there = [p.inner for p in there]
    here = make("cpu")
    for a, b in zip(here, there, strict=True):  # the same but for the order of some sums
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_device_refuses_what_one_would_wait_for():
    with Device() as device:
        x = torch.arange(6.0, device=AT).reshape(3, 2)
        w = torch.nn.Linear(2, 2).to(AT)
        host_rows = torch.tensor([0, 1])
        with device.loop():
            (w(x) * torch.tensor(2.0)).square().mean().backward()
            y = torch.eye(2, device=x.device) + x[:2]
            for one in (
                lambda: y.sum().item(),
                lambda: bool((y > 0).all()),
                lambda: y.cpu(),
                lambda: y.tolist(),
                lambda: y + torch.ones(2, 2),
                lambda: y[host_rows],
                lambda: y[y > 0],
                lambda: y.new_tensor([1.0]),
                lambda: torch.tensor([1.0], device=y.device),
                lambda: torch.ones(2).to(y),
            ):
                with pytest.raises(Transfer):
                    one()
        assert y.cpu().tolist() == [[1.0, 1.0], [2.0, 4.0]]
    assert isinstance(w.weight.grad, OnDevice)


@entries("block")
def test_no_block_makes_a_transfer_in_training_but_those_that_are_named(entry, device):
    spec = wopt.build("block", entry.qualified)
    with crosses(entry):
        same_on(device, lambda at: trained(spec, wopt.build("objective", "kl"), at))


@entries("objective")
def test_no_objective_makes_a_transfer_in_training_but_those_that_are_named(entry, device):
    cls = host().registry.load("objective", entry.qualified)
    block = wopt.build("block", {"name": "ode", "width": 4, "steps": 1})

    def make(at):
        objective = wopt.build("objective", {"name": entry.qualified, **cls.example})
        return trained(block, objective, at)

    with crosses(entry):
        same_on(device, make)


@entries("scheme")
def test_no_scheme_makes_a_transfer_in_training_but_those_that_are_named(entry, device):
    def make(at):
        x = (normal(N, 2) + 1).to(at)
        start = Particles.start(x, log_density=-(x - 1).square().sum(1) / 2)
        solution = wopt.solve(
            start, objective="kl", scheme={"name": entry.name, "step_size": 0.1},
            block={"name": "ode", "width": 4, "steps": 1}, guard={"standard_errors": 9.0},
            solver={"iterations": 3, "batch_size": 12}, stop={"steps": 2}, listener=False,
        )  # fmt: skip
        assert solution.status == "done", solution.reason
        return list(solution.flow.blocks[-1].parameters())

    with crosses(entry):
        same_on(device, make)


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_no_optimiser_makes_a_transfer(optimiser, device):
    spec = wopt.build("block", {"name": "ode", "width": 24, "steps": 1})
    same_on(device, lambda at: trained(spec, wopt.build("objective", "kl"), at, optimiser))


@pytest.mark.parametrize("how", ["none", "standardise", "whiten", "gaussianise"])
def test_the_preprocessing_makes_no_transfer(how):
    rows = torch.cat([normal(200, 1).exp(), normal(200, 1, 1)], 1).double()
    with Device() as device:
        transform = fit_transform(rows, how, Columns.on_the_line(("a", "b")))
        exact = transform(rows)
        transform, x = transform.to(AT), rows.to(AT)
        transform(x)  # knots of curves are sent once
        with device.loop():
            z, log_det = transform(x)
            back = transform.inverse(z)[0]
    torch.testing.assert_close((z.inner, log_det.inner), exact)
    torch.testing.assert_close(back.inner, rows)


def test_fresh_particles_are_sent_to_the_device_at_every_iteration(device):
    """Which is why: sources draw on the host, so this is a transfer, and is told of in the docs."""
    table = {
        "source": {"name": "gaussian", "dim": 2}, "solver": {"iterations": 2, "fresh": True},
        "block": {"name": "ode", "width": 4, "steps": 1}, "stop": {"steps": 1}, "device": "meta",
    }  # fmt: skip
    with device:
        prepared = prepare(validate(table))
        state = prepared.problem.begin(prepared.train, prepared.valid)
        with pytest.raises(Transfer, match="of a tensor of the host"):
            next(iterate(prepared.problem, state))
