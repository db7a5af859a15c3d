"""Two processes: what every component makes of their shards is what it makes of all rows."""

import dataclasses

import pytest
import torch
from by_hand import normal
from teams import together

import wopt
from wopt import Capability
from wopt.errors import CapabilityError
from wopt.host import host
from wopt.interfaces.subproblem import Subproblem
from wopt.parallel import SOLO, Team, over_rows
from wopt.parallel.launch import launched
from wopt.parallel.rows import own_draws
from wopt.particles import Particles
from wopt.push import push
from wopt.runs import advance, build_problem
from wopt.runtime import Runtime
from wopt.testing import AffineBlock
from wopt.train.wrappers import spread

N = 80
"""Rows: 40 a process, more than the 16 from which work is shared."""

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
    "stack": {"members": ["affine", "affine"]},
}
SLOW = ("naf", "coupling", "maf", "spline", "barycenter", "entropic_jko")
"""Slow, or zuko's as `zuko` is."""

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_gloo_available(), reason="torch was built without gloo"
    ),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def entries(kind):
    found = [e for e in host().registry.entries(kind) if e.plugin != "session"]
    quick = [e for e in found if e.name not in SLOW]
    slow = [pytest.param(e, marks=pytest.mark.slow, id=e.name) for e in found if e.name in SLOW]
    return pytest.mark.parametrize("chosen", [pytest.param(quick, id="quick"), *slow])


def alike(make, **tolerance):
    """Check that each of two processes makes the tensors, by name, that one alone makes."""
    alone = make(SOLO)
    assert alone

    def task(_):
        with launched(30.0) as of:
            found = make(of)
        pairs = (
            (name, a, b) for name in alone for a, b in zip(alone[name], found[name], strict=False)
        )
        return [name for name, a, b in pairs if not torch.allclose(a, b, **tolerance)]

    assert together(task) == [[], []]


CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def gradients(block, value):
    block.zero_grad(set_to_none=True)
    value.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in block.parameters()]


@entries("block")
def test_every_block_maps_rows_in_shards(chosen):
    x, c = normal(N, 2, 1), normal(N, 1, 2)[:, 0]

    def make(of):
        made = {}
        for entry in chosen if isinstance(chosen, list) else [chosen]:
            spec = wopt.build("block", {"name": entry.qualified, **SMALL.get(entry.name, {})})
            torch.manual_seed(0)
            block = spec.build(dim=2).double()
            block.initialise(normal(N, 2))
            for number, p in enumerate(block.parameters()):
                p.data += 0.1 * normal(p.numel(), 1, number).reshape(p.shape)
            block.eval()
            provided = [m for need, ms in METHODS.items() if need in block.provides for m in ms]
            for name in ("move", *provided):
                outputs = getattr(spread(block, of), name)(x)
                parts = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
                loss = sum((part.reshape(N, -1).sum(1).sin() * c).mean() for part in parts)
                grads = gradients(block, loss) if loss.requires_grad else []
                made[f"{entry.name}.{name}"] = [t.detach() for t in (*parts, *grads)]
        return made

    alike(make, **CLOSE)


@entries("objective")
def test_every_objective_has_the_same_gradient_in_shards(chosen):
    """Over pairs, over samples, over sorted projections: it sees all rows, whoever mapped them."""
    x = normal(N, 2)
    start = Particles.start(x, log_density=-x.square().sum(1) / 2)

    def make(of):
        made = {}
        for entry in chosen if isinstance(chosen, list) else [chosen]:
            cls = host().registry.load("objective", entry.qualified)
            objective = wopt.build("objective", {"name": entry.qualified, **cls.example})
            block = AffineBlock(2).double()
            block.shift.data += 0.3
            value = Subproblem(start, x, 0.5, objective).loss(spread(block, of))
            grads = gradients(block, value)
            assert any(float(g.abs().max()) > 1e-6 for g in grads), entry.name
            made[entry.name] = [value.detach(), *grads]
        return made

    alike(make, **CLOSE)


def solved(of, start, log_density=None, **table):
    problem = build_problem(table, (start, start), runtime=Runtime(of))
    problem = dataclasses.replace(problem, log_density=log_density)
    solution = advance(problem, problem.begin(), False)
    assert solution.status == "done", solution.reason
    blocks = [t for b in solution.state.blocks for t in b.state_dict().values()]
    return [*blocks, torch.tensor(solution.state.energy)]


@entries("scheme")
def test_every_scheme_makes_the_same_step_in_shards(chosen):
    x = normal(N, 2) + 1

    def log_density(z):
        return -(z - 1).square().sum(1) / 2

    start = Particles.start(x, log_density=log_density(x))

    def make(of):
        return {
            entry.name: solved(
                of, start, log_density, objective="kl",
                scheme={"name": entry.name, "step_size": 0.1},
                block={"name": "ode", **SMALL["ode"]}, guard={"standard_errors": 9.0},
                solver={"iterations": 3, "batch_size": N}, stop={"steps": 1},
            )
            for entry in (chosen if isinstance(chosen, list) else [chosen])
        }  # fmt: skip

    alike(make, **CLOSE)


OPTIONS = {
    "muon": {"solver": {"optimiser": "muon"}},
    "gaussian": {"solver": {"optimiser": "gaussian"}, "block": "affine"},
    "checks": {
        "solver": {"ema": 0.5, "check_every": 2, "patience": 1, "tolerance": 1e-9, "rounds": 2}
    },
    "refined": {"refine": {"iterations": 2}, "stop": {"steps": 2}},
    "recomputed": {"refine": {"iterations": 2, "recompute": True}, "stop": {"steps": 2}},
}


def test_every_way_to_train_makes_the_same_map_in_shards():
    """Loops know nothing of shards: what they are given are the gradients of all rows."""
    start = Particles.start(normal(100, 2) * torch.tensor([1.0, 2.0]) + 1)
    block = {"name": "ode", "width": 18, "sharpness": 1.0, "steps": 1}

    def make(of):
        made = {}
        for name, options in OPTIONS.items():
            solver = {"iterations": 4, "batch_size": 70, **options.get("solver", {})}
            made[name] = solved(
                of, start, scheme={"name": "jko", "step_size": 0.3}, guard={"standard_errors": 9.0},
                **{"block": block, "stop": {"steps": 1}, **options, "solver": solver},
            )  # fmt: skip
        return made

    alike(make, rtol=1e-6, atol=1e-8)


def test_a_block_that_sees_other_rows_is_refused_by_name():
    class Normalised(AffineBlock):
        def __init__(self, dim):
            super().__init__(dim)
            self.norm = torch.nn.BatchNorm1d(dim)

        def forward(self, x):
            y, log_det = super().forward(x)
            return self.norm(y), log_det

    with pytest.raises(CapabilityError, match="block Normalised cannot be"):
        spread(Normalised(2), Team(size=2))(torch.zeros(5, 2))


def test_draws_of_a_map_depend_on_the_process_alone():
    """And the generator moves as far on each; not at all without draws."""

    class Noisy(AffineBlock):
        def forward(self, x):
            return x + torch.randn_like(x), x[:, 0]

    x, block = torch.zeros(N, 1), Noisy(1)

    def task(_):
        with launched(30.0) as of:
            torch.manual_seed(0)
            whole = over_rows(of, lambda x: block(x)[0], [x])
            after = float(torch.rand(()))
            torch.manual_seed(0)
            pushed = push(block, Particles.start(x), runtime=Runtime(of)).points
            assert torch.equal(whole, pushed)
            assert float(torch.rand(())) == after
            return whole.tolist(), after

    first, second = together(task)
    assert first == second
    assert len(torch.tensor(first[0]).unique()) == N
    torch.manual_seed(0)
    with own_draws(SOLO):
        pass
    still = torch.rand(())
    torch.manual_seed(0)
    assert float(still) == float(torch.rand(())) != first[1]


def test_shards_of_rows_cover_them():
    for n in (64, 101):
        bounds = Team(size=4).bounds(n)
        assert [s.start for s in bounds] == [0, *(s.stop for s in bounds[:-1])]
        assert bounds[-1].stop == n
    assert [Team(size=4).shares(n) for n in (63, 64)] == [False, True]
