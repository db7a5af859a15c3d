"""A plugin that was written against today's public interface goes on to work, unchanged."""

import ast
import json
import types
import warnings
from pathlib import Path

import pytest
import tomli_w
import torch
from wopt_visitor import hooks

import wopt
from wopt.testing import check_component

CONFIG = {
    "dtype": "float64",
    "source": {"name": "cloud", "centre": 3.0},
    "objective": {"name": "drift", "strength": 2.0, "target": {"name": "bowl", "centre": 1.0}},
    "scheme": {"name": "heavy", "share": 0.5, "step_size": {"name": "harmonic", "first": 2.0}},
    "block": {"name": "stretch", "gain": 2.0},
    "solver": {"optimiser": "lbfgs", "iterations": 30},
    "stop": {"steps": 2},
    "certify": {"particles": 60, "iterations": 0, "transport_rows": 0, "budget": 0},
}


@pytest.fixture(autouse=True)
def visitor(session):
    """Register into this process what a hook names."""
    hooks.wopt_register(types.SimpleNamespace(add=wopt.register))


def test_a_run_uses_all_of_it_by_name(tmp_path):
    diary, config = tmp_path / "diary.jsonl", tmp_path / "config.toml"
    config.write_text(tomli_w.dumps({**CONFIG, "tracker": {"name": "diary", "path": str(diary)}}))
    result = wopt.run(config, tmp_path / "run")
    assert (result.status, result.steps, result.parameters) == ("done", 2, 8)
    told = [json.loads(line) for line in diary.read_text().splitlines()]
    config, first, second, end = told
    assert config["scheme"]["step_size"] == {"name": "harmonic", "first": 2.0}
    assert end["status"] == "done"
    assert [first["step_size"], second["step_size"]] == [2.0, 1.0]
    assert second["plan"] == {"share": 0.5}
    # min |y - c|^2 + |y - x|^2/h': y - c = (x - c)/(1 + h'), h' = 1 and then 1/2.
    assert second["energy"] / first["energy"] == pytest.approx(1 / 1.5**2, rel=1e-6)
    x = torch.tensor([[4.0, -2.0]]).double()
    moved = wopt.load(tmp_path / "run").chain.trajectory(x)[-1]
    assert torch.allclose(moved, 1 + (x - 1) / (2 * 1.5), atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in hooks.PARTS if kind != "tracker"])
def test_the_laws_of_the_interfaces_hold(kind):
    assert check_component(kind, hooks.PARTS[kind])


def test_it_takes_public_names_alone():
    paths = Path(hooks.__file__).parent.glob("*.py")
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    taken = {ast.unparse(n) for n in nodes if isinstance(n, ast.Attribute)}
    names = {name.split(".")[1] for name in taken if name.startswith("wopt.")}
    assert {"Subproblem", "Target", "hookimpl"} <= names <= set(wopt.__all__)
    imports = [ast.unparse(n) for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert not [line for line in imports if "wopt." in line or "from wopt" in line]


class Lottery(wopt.Objective):
    """E|x - u|^2 / 2 for a random u, drawn in place by the method that once did this."""

    def __init__(self):
        self.u = 0.0

    def contributions(self, particles):
        return (particles.points - self.u).square().sum(1) / 2

    def resample(self, rng):
        self.u = float(torch.randn((), generator=rng))


def test_an_objective_that_draws_in_place_is_drawn_by_key():
    lottery = Lottery()
    with pytest.warns(DeprecationWarning, match=r"Lottery\.resample.*define at\(key\)"):
        one, two = lottery.at(1), (0.5 * lottery).at(2).parts[0][1]
    assert len({lottery.u, one.u, two.u}) == 3
    x = wopt.Particles.start(torch.linspace(2, 4, 40).double()[:, None])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        made = wopt.solve(x, objective=lottery, block="affine", stop={"steps": 1})
    assert lottery.u == 0.0
    u = made.problem.objective.u
    assert float(made.problem.objective.energy(x)) == pytest.approx(
        float((x.points - u).square().mean()) / 2
    )
    assert made.history[0].energy_change < 0
