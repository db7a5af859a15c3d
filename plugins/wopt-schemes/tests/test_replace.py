"""One map replaced at each step: against jko where they agree, and where they must not."""

import copy

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.runs.examine import examine
from wopt.runs.execute import resume, run_config
from wopt.runs.loading import load
from wopt.testing import AffineBlock, gaussian_nodes, gaussian_problems
from wopt_certify.run import certify_run

RUN = {
    "source": {"name": "gaussian", "mean": 2.0, "scale": 0.5, "dim": 2, "n_train": 400,
               "n_valid": 300, "n_test": 300},
    "objective": {"name": "kl", "target": {"name": "mixture", "means": [[-1.0, 0.0], [1.0, 0.0]]}},
    "scheme": {"name": "replace", "step_size": 0.5},
    "block": {"name": "ode", "width": 12, "sharpness": 1.0, "steps": 2},
    "solver": {"iterations": 25, "batch_size": 100},
    "stop": {"steps": 3},
    "certify": {"particles": 300, "iterations": 10, "transport_rows": 30, "draws": 500},
}  # fmt: skip


def solved(name, h=0.3, steps=3, block=None):
    problem = gaussian_problems()["rotated"]
    return wopt.solve(
        problem.nodes(),
        objective=problem.objective(),
        scheme={"name": name, "step_size": h},
        block=block or AffineBlock(problem.dim),
        solver={"optimiser": "lbfgs"},
        stop={"steps": steps},
    )


def test_affine_maps_make_the_steps_of_jko():
    """T_3 of the one is the composition of the three blocks of the other: docs/theory 3.6."""
    one, three = solved("replace"), solved("jko")
    assert len(one.flow.blocks) == 1
    assert len(three.flow.blocks) == 3
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    maps = [solution.flow.chain.trajectory(x)[-1] for solution in (one, three)]
    assert torch.allclose(*maps, atol=1e-6)
    for a, b in zip(one.history, three.history, strict=True):
        assert a.energy == pytest.approx(b.energy, abs=1e-8)
        assert a.w2_step == pytest.approx(b.w2_step, abs=1e-6)
        assert a.decrease == pytest.approx(b.decrease, abs=1e-7)


class Symmetric(AffineBlock):
    """Affine maps with a symmetric matrix: a family that is not closed under composition."""

    def forward(self, x):
        matrix = (self.matrix + self.matrix.T) / 2
        log_det = torch.linalg.slogdet(matrix)[1]
        return x @ matrix + self.shift, log_det.expand(len(x))

    def inverse(self, y):
        matrix = (self.matrix + self.matrix.T) / 2
        log_det = torch.linalg.slogdet(matrix)[1]
        return torch.linalg.solve(matrix, (y - self.shift).T).T, -log_det.expand(len(y))


def test_a_family_that_is_not_closed_makes_other_steps():
    """a composition of jko's symmetric maps is not symmetric, so one map cannot make its steps.

    The first step is the same; the second, from the same T_1, has a smaller family and a larger
    value of the subproblem.
    """
    one, two = (solved(name, steps=2, block=Symmetric(2)) for name in ("replace", "jko"))
    assert one.history[0].energy == pytest.approx(two.history[0].energy, abs=1e-8)
    assert one.history[1].decrease > two.history[1].decrease + 1e-6
    eye, zero = torch.eye(2).double(), torch.zeros(1, 2).double()
    path = [s.flow.chain.trajectory(torch.cat([eye, zero]))[-1] for s in (one, two)]
    gaps = [(y[:2] - y[2]) - (y[:2] - y[2]).T for y in path]
    assert float(gaps[0].abs().max()) < 1e-9
    assert float(gaps[1].abs().max()) > 1e-3


def test_the_flow_keeps_one_block_and_resumes_to_the_same_bits(tmp_path):
    whole = run_config(validate(copy.deepcopy(RUN)), tmp_path / "whole", report=False)
    assert [p.name for p in (tmp_path / "whole/blocks").iterdir()] == ["003.safetensors"]
    part = {**copy.deepcopy(RUN), "stop": {"steps": 2}}
    run_config(validate(part), tmp_path / "part", report=False)
    config = tmp_path / "part/config.toml"
    config.write_text(config.read_text().replace("[stop]\nsteps = 2", "[stop]\nsteps = 3"))
    again = resume(tmp_path / "part", report=False)
    assert again.kl == whole.kl
    assert again.steps == whole.steps == 1
    found = examine(tmp_path / "part")
    assert (found.damaged, found.whole, found.sampled, found.resumed) == ({}, 3, True, True)
    flow = load(tmp_path / "part")
    draws = flow.sample(50, generator=torch.Generator().manual_seed(0))
    assert bool(flow.log_prob(draws).isfinite().all())


def test_a_certificate_says_what_is_known_of_the_last_law(tmp_path):
    run_config(validate(copy.deepcopy(RUN)), tmp_path / "run", report=False)
    certificate = certify_run(tmp_path / "run")
    (step,) = certificate.steps
    assert step.step == 3
    assert step.residual.by == "record"  # the maps before are not kept, so it is not seen again
    chained = [step.bounds.gap[name] for name in ("theorem_s", "theorem_p", "theorem_q")]
    assert [entry.value for entry in chained] == [None] * 3
    assert step.gradient.value > 0


def test_nodes_stay_at_the_start():
    """The subproblem is posed at the start, so its particles never move."""
    x = gaussian_nodes(torch.zeros(1).double(), torch.eye(1).double())
    scheme = wopt.build("scheme", {"name": "replace", "step_size": 0.5})
    now = wopt.Particles.start(x.points + 1, x.weights)
    history = wopt.History(now, None, None, 1, 0.5, 0.5, start=x)
    sub = scheme.subproblem(history, wopt.build("objective", "kl"))
    assert torch.equal(sub.particles.points, x.points)
    assert torch.equal(sub.rows(slice(2)).baseline.points, now.points[:2])
