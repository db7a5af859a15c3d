"""Shards in one process: what every component makes of them is what it makes of all rows."""

import copy
import dataclasses

import pytest
import torch

import wopt
from wopt import Capability
from wopt.errors import CapabilityError, ConfigError
from wopt.host import host
from wopt.interfaces.subproblem import Subproblem
from wopt.parallel import SOLO, Team, over_rows
from wopt.parallel.collective import numbers_in, with_numbers
from wopt.particles import Particles
from wopt.push import in_batches, push
from wopt.runs import advance, build
from wopt.runtime import Runtime
from wopt.testing import AffineBlock
from wopt.train.record import Retry
from wopt.train.wrappers import spread

N = 80
"""Rows: 20 a shard, more than the 16 from which work is shared."""

METHODS = {
    Capability.LOG_DET: ("audit",),
    Capability.INVERSE: ("inverse", "differentiable_inverse"),
    Capability.ACTION: ("forward_with_action",),
    Capability.HALF_WAY: ("half_way",),
    Capability.VELOCITY: ("velocity",),
}
SMALL = {
    "ode": {"width": 4, "sharpness": 1.0, "steps": 1},
    "autoregressive": {"transforms": 1, "hidden": [4]},
}
SLOW = ("naf", "coupling", "maf", "spline", "barycenter", "entropic_jko")
"""Slow, or zuko's as `zuko` is."""


def entries(kind):
    found = [e for e in host().registry.entries(kind) if e.plugin != "session"]
    marked = [pytest.param(e, marks=[pytest.mark.slow] * (e.name in SLOW)) for e in found]
    return pytest.mark.parametrize("entry", marked, ids=[e.qualified for e in found])


def normal(n, d, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=rng)


def close(a, b):
    return bool(torch.allclose(a, b, rtol=1e-9, atol=1e-11))


def gradients(block, value):
    block.zero_grad(set_to_none=True)
    value.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in block.parameters()]


@entries("block")
def test_every_block_maps_rows_in_shards(entry):
    spec = wopt.build("block", {"name": entry.qualified, **SMALL.get(entry.name, {})})
    block = spec.build(dim=2).double()
    block.initialise(normal(N, 2))
    for number, p in enumerate(block.parameters()):
        p.data += 0.1 * normal(p.numel(), 1, number).reshape(p.shape)
    block.eval()
    x, c = normal(N, 2, 1), normal(N, 1, 2)[:, 0]
    names = ["move"] + [m for need, ms in METHODS.items() if need in block.provides for m in ms]
    for name in names:
        made = {}
        for of in (SOLO, Team(fixed=4)):
            outputs = getattr(spread(block, of), name)(x)
            parts = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
            loss = sum((part.reshape(N, -1).sum(1).sin() * c).mean() for part in parts)
            grads = gradients(block, loss) if loss.requires_grad else []
            made[of.shards] = [*(part.detach() for part in parts), *grads]
        assert all(map(close, made[1], made[4])), name


@entries("objective")
def test_every_objective_has_the_same_gradient_in_shards(entry):
    """Over pairs, over samples, over sorted projections: it sees all rows, whoever mapped them."""
    cls = host().registry.load("objective", entry.qualified)
    objective = wopt.build("objective", {"name": entry.qualified, **cls.example})
    x = normal(N, 2)
    start = Particles.start(x, log_density=-x.square().sum(1) / 2)
    sub = Subproblem(start, x, 0.5, objective)
    block = AffineBlock(2).double()
    block.shift.data += 0.3
    made = {}
    for of in (SOLO, Team(fixed=4)):
        value = sub.loss(spread(block, of))
        made[of.shards] = [value.detach(), *gradients(block, value)]
    assert all(map(close, made[1], made[4]))
    assert any(float(g.abs().max()) > 1e-6 for g in made[4][1:])


def solved(of, start, **table):
    problem = build(table, (start, start), runtime=Runtime(of))
    return advance(problem, problem.begin(), False)


@entries("scheme")
def test_every_scheme_makes_the_same_step_in_shards(entry):
    x = normal(N, 2) + 1
    start = Particles.start(x, log_density=-(x - 1).square().sum(1) / 2)
    ends = {}
    for of in (SOLO, Team(fixed=4)):
        solution = solved(
            of, start, objective="kl", scheme={"name": entry.name, "step_size": 0.1},
            block={"name": "ode", **SMALL["ode"]}, guard={"standard_errors": 9.0},
            solver={"iterations": 3, "batch_size": N}, stop={"steps": 1},
        )  # fmt: skip
        assert solution.status == "done", solution.reason
        ends[of.shards] = solution.state
    blocks = [list(end.blocks[0].state_dict().values()) for end in ends.values()]
    assert all(map(close, *blocks))
    assert ends[1].energy == pytest.approx(ends[4].energy, rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": {"optimiser": "muon"}},
        pytest.param({"solver": {"optimiser": "lbfgs"}}, marks=pytest.mark.slow),
        {"solver": {"optimiser": "gaussian"}, "block": "affine"},
        {"solver": {"ema": 0.5, "check_every": 2, "patience": 1, "tolerance": 1e-9, "rounds": 2}},
        pytest.param({"refine": {"iterations": 2}, "stop": {"steps": 2}}, marks=pytest.mark.slow),
        pytest.param(
            {"refine": {"iterations": 2, "recompute": True}, "stop": {"steps": 2}},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["muon", "lbfgs", "gaussian", "checks", "refined", "recomputed"],
)
def test_every_way_to_train_makes_the_same_map_in_shards(options):
    """Loops know nothing of shards: what they are given are the gradients of all rows."""
    x = normal(100, 2) * torch.tensor([1.0, 2.0]) + 1
    start, ends = Particles.start(x), {}
    block = {"name": "ode", "width": 18, "sharpness": 1.0, "steps": 1}
    solver = {"iterations": 4, "batch_size": 70, **options.get("solver", {})}
    for of in (SOLO, Team(fixed=4)):
        solution = solved(
            of, start, scheme={"name": "jko", "step_size": 0.3}, guard={"standard_errors": 9.0},
            **{"block": block, "stop": {"steps": 1}, **options, "solver": solver},
        )  # fmt: skip
        assert solution.status == "done", solution.reason
        ends[of.shards] = [t for b in solution.state.blocks for t in b.state_dict().values()]
        ends[-of.shards] = solution.state.records[-1]
    assert all(
        torch.allclose(a, b, rtol=1e-6, atol=1e-8) for a, b in zip(ends[1], ends[4], strict=True)
    )
    assert ends[-1].energy == pytest.approx(ends[-4].energy, rel=1e-6)
    assert ends[-1].refined == ends[-4].refined


def test_a_block_that_sees_other_rows_is_refused_by_name():
    class Normalised(AffineBlock):
        def __init__(self, dim):
            super().__init__(dim)
            self.norm = torch.nn.BatchNorm1d(dim)

        def forward(self, x):
            y, log_det = super().forward(x)
            return self.norm(y), log_det

    with pytest.raises(CapabilityError, match="block Normalised cannot be"):
        spread(Normalised(2), Team(fixed=2))(torch.zeros(N, 2))


def test_alone_nothing_is_wrapped_and_nothing_drawn():
    block = AffineBlock(2)
    state = torch.get_rng_state()
    assert spread(block, SOLO) is block
    over_rows(SOLO, lambda x: x, [torch.zeros(N, 2)])
    in_batches(lambda x: x, torch.zeros(N, 2), rows=16)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_of_a_map_depend_on_the_shard_alone():
    """And the generator moves as far, whichever shards a process has; not at all without draws."""

    class Noisy(AffineBlock):
        def forward(self, x):
            return x + torch.randn_like(x), x[:, 0]

    x, after, of, block = torch.zeros(N, 1), [], Team(fixed=4), Noisy(1)
    torch.manual_seed(0)
    whole = [over_rows(of, lambda x: block(x)[0], [x])]
    after.append(torch.rand(()))
    torch.manual_seed(0)
    whole.append(push(block, Particles.start(x), runtime=Runtime(of)).points)
    after.append(torch.rand(()))
    torch.manual_seed(0)
    over_rows(of, lambda x: x, [x])
    still = torch.rand(())
    assert torch.equal(*whole)
    assert torch.equal(*after)
    torch.manual_seed(0)
    assert torch.equal(still, torch.rand(()))
    assert not torch.equal(still, after[0])
    assert len(whole[0].unique()) == N


def test_shards_of_rows_cover_them_and_processes_share_them():
    for n in (64, 101):
        four, two = Team(fixed=4), [Team(rank, 2, 4) for rank in range(2)]
        assert [s.start for s in four.bounds(n)][1:] == [s.stop for s in four.bounds(n)][:-1]
        for one in two:
            own = [one.bounds(n)[k] for k in one.mine]
            assert (own[0].start, own[-1].stop) == (one.span(n).start, one.span(n).stop)
    assert [four.shares(n) for n in (63, 64)] == [False, True]


@pytest.mark.parametrize(("size", "shards"), [(3, 4), (1, 6), (8, 4)])
def test_processes_that_cannot_share_shards_are_refused(size, shards):
    with pytest.raises(ConfigError, match=f"run.shards = {shards} cannot be shared by {size}"):
        Team(0, size, shards)


def test_numbers_are_found_and_put_back_wherever_they_are():
    retry = Retry(1, "grid made finer", "coarse", 2.0, 1.0)
    value = {"a": (1.5, None), "b": retry, "c": wopt.statistics.Mean(1.0, 2.0)}
    found = numbers_in(value)
    assert found == [1.5, None, 1, 2.0, 1.0, 1.0, 2.0]
    assert with_numbers(value, iter(found)) == value
    other = with_numbers(value, iter([0.5, None, 3.0, 2.0, 1.0, 7.0, 2.0]))
    assert other["a"] == (0.5, None)
    assert other["b"] == dataclasses.replace(retry, attempt=3)
    assert isinstance(other["b"].attempt, int)
    assert other["c"].value == 7.0
    assert copy.deepcopy(value) == value
