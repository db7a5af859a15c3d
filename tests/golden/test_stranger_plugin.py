"""A plugin that was written against today's public interface goes on to work, unchanged."""

import ast
import json
from pathlib import Path

import pytest
import tomli_w
import torch
from wopt_visitor import hooks

import wopt
from wopt.testing import check_component

PARTS = {
    "objective": "drift", "scheme": "heavy", "block": "stretch", "target": "bowl",
    "source": "cloud", "step_size": "harmonic",
}  # fmt: skip
CONFIG = {
    "seed": 1,
    "dtype": "float64",
    "source": {"name": "cloud", "mean": 3.0},
    "objective": {"name": "drift", "strength": 2.0, "target": {"name": "bowl", "centre": 1.0}},
    "scheme": {"name": "heavy", "price": 2.0, "step_size": {"name": "harmonic", "first": 1.0}},
    "block": {"name": "stretch", "gain": 2.0},
    "solver": {"optimiser": "lbfgs", "iterations": 30},
    "stop": {"steps": 2},
    "certify": {"particles": 60, "iterations": 0, "transport_rows": 0, "budget": 0},
}


class Session:
    """Takes what a hook registers into this process."""

    def add(self, kind, name, component, *, summary=""):
        wopt.register(kind, name, component, summary=summary)


@pytest.fixture(autouse=True)
def visitor(session):
    hooks.wopt_register(Session())


def test_a_run_uses_all_of_it_by_name(tmp_path, no_pictures):
    diary, config = tmp_path / "diary.jsonl", tmp_path / "config.toml"
    config.write_text(tomli_w.dumps({**CONFIG, "tracker": {"name": "diary", "path": str(diary)}}))
    result = wopt.run(config, tmp_path / "run")
    assert (result.status, result.steps, result.parameters) == ("done", 2, 8)
    told = [json.loads(line) for line in diary.read_text().splitlines()]
    assert [word for word, _ in told] == ["start", "step", "step", "end"]
    assert told[0][1]["scheme"]["step_size"] == {"name": "harmonic", "first": 1.0}
    # min 2 |y - c|^2/2 + 2 |y - x|^2/(2h): y - c = (x - c)/(1 + h), h = 1 and then 1/2.
    first, second = (record for word, record in told if word == "step")
    assert [first["step_size"], second["step_size"]] == [1.0, 0.5]
    assert second["energy"] / first["energy"] == pytest.approx(1 / 1.5**2, rel=1e-6)
    assert second["plan"] == {"price": 2.0}
    flow = wopt.load(tmp_path / "run")
    x = torch.tensor([[4.0, -2.0]]).double()
    moved = flow.chain.trajectory(x)[-1]
    assert torch.allclose(moved, 1 + (x - 1) / (2 * 1.5), atol=1e-5)


@pytest.mark.parametrize("kind", PARTS)
def test_the_laws_of_the_interfaces_hold(kind):
    assert check_component(kind, PARTS[kind])


def test_python_takes_the_components_as_objects():
    found = wopt.solve(
        wopt.build("source", {"name": "cloud", "rows": 40}),
        objective=wopt.build("objective", {"name": "kl", "target": {"name": "bowl", "centre": 1}}),
        scheme=wopt.build("scheme", {"name": "heavy", "step_size": 0.5}),
        block="stretch", solver={"iterations": 5}, stop={"steps": 1},
    )  # fmt: skip
    assert (found.status, len(found.history)) == ("done", 1)


def test_it_imports_public_names_alone():
    folder = Path(hooks.__file__).parent
    trees = [ast.parse(path.read_text()) for path in folder.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    taken = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _is_wopt(n.value)}
    assert taken
    assert taken <= set(wopt.__all__)
    imported = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    origins = {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
    assert not [name for name in imported | origins if name.startswith("wopt.")]


def _is_wopt(node):
    return isinstance(node, ast.Name) and node.id == "wopt"
