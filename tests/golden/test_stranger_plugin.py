"""A plugin written against today's public interface: installed, it runs by name, unchanged."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
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
    "tracker": {"name": "diary", "path": "diary.jsonl"},
    "certify": {"particles": 60, "iterations": 0, "transport_rows": 0, "budget": 0},
}
MISTAKES = {
    "wrong": {"objective": {"strength": -1.0}, "scheme": {"shar": 0.5}, "block": {"gain": "big"}},
    "misspelt": {"objective": {"name": "drif"}},
}
SEVERAL = """
import contextlib, importlib, io, json, sys
from wopt.cli.main import main
importlib.import_module("wopt_report.rendering").pictures = lambda run: ([], [])
answers = []
for words in json.loads(sys.argv[1]):
    sys.argv, out, err = ["wopt", *words], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            answers.append([ended.code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


@pytest.fixture(autouse=True)
def visitor(session):
    """Register into this process what a hook names."""
    hooks.wopt_register(types.SimpleNamespace(add=wopt.register))


def entry_point(site, name, version):
    """Leave what pip leaves of a wheel beside the package: its metadata and its entry point."""
    about = site / f"wopt_{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: wopt-{name}\nVersion: {version}\nRequires-Dist: wopt-core\n"
    )
    (about / "entry_points.txt").write_text(f"[wopt]\n{name} = wopt_{name}.hooks\n")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return the folder in which several commands ran in one process, and what they answered.

    Two plugins are installed in a folder of their own; the second one is broken.
    """
    site, at = (tmp_path_factory.mktemp(name) for name in ("site", "strange"))
    shutil.copytree(Path(hooks.__file__).parent, site / "wopt_visitor")
    (site / "wopt_wreck").mkdir()
    (site / "wopt_wreck/hooks.py").write_text("raise OSError('no licence found')")
    entry_point(site, "visitor", "2.7")
    entry_point(site, "wreck", "2.8")
    for name, changes in {"config": {}, **MISTAKES}.items():
        table = CONFIG | {key: CONFIG[key] | change for key, change in changes.items()}
        (at / f"{name}.toml").write_text(tomli_w.dumps(table))
    commands = [
        ["plugins", "--json"], ["run", "wrong.toml", "--out", "wrong"],
        ["validate", "misspelt.toml"], ["run", "config.toml", "--out", "out"], ["resume", "out"],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        env=os.environ | {"PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}",
                          "OMP_NUM_THREADS": "1"},
        cwd=at, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return at, json.loads(done.stdout)


def test_the_good_one_and_the_broken_one_are_listed(answers):
    status, listing, _ = answers[1][0]
    rows = {row["name"]: row for row in json.loads(listing)}
    good, wreck = rows["visitor"], rows["wreck"]
    assert (status, rows["jko"]["status"]) == (0, "ok")
    assert (good["distribution"], good["version"]) == ("wopt-visitor", "2.7")
    assert (good["status"], good["error"]) == ("ok", None)
    assert {c["kind"]: c["name"] for c in good["components"]} == hooks.PARTS
    assert (wreck["status"], wreck["error"]) == ("failed", "OSError: no licence found")
    assert (wreck["distribution"], wreck["components"]) == ("wopt-wreck", [])


def test_wrong_options_and_names_are_refused(answers):
    at, (_, (status, _, output), (unknown, _, words), *_) = answers
    assert (status, unknown) == (2, 2)
    assert "Traceback" not in output
    for found in (
        "wrong.toml: objective.strength.*got -1.0",
        "wrong.toml: scheme.shar: unknown option.*did you mean 'share'",
        "wrong.toml: block.gain.*got 'big'",
    ):
        assert re.search(found, output)
    assert re.search("no objective named 'drif'.*'drift'.*failed to load: wreck", words)
    assert not (at / "wrong").exists()


def test_a_run_uses_all_of_it_by_name(answers):
    at, (*_, (status, _, output), (resumed, _, _)) = answers
    assert (status, resumed) == (0, 0)
    assert "plugin 'wreck' failed to load: OSError: no licence found" in output
    result = json.loads((at / "out/result.json").read_text())
    assert (result["status"], result["steps"], result["parameters"]) == ("done", 2, 8)
    assert result["versions"]["wopt-visitor"] == "2.7"
    config, first, second, end = map(json.loads, (at / "diary.jsonl").read_text().splitlines()[:4])
    assert config["scheme"]["step_size"] == {"name": "harmonic", "first": 2.0}
    assert end["status"] == "done"
    assert [first["step_size"], second["step_size"]] == [2.0, 1.0]
    assert second["plan"] == {"share": 0.5}
    # min |y - c|^2 + |y - x|^2/h': y - c = (x - c)/(1 + h'), h' = 1 and then 1/2.
    assert second["energy"] / first["energy"] == pytest.approx(1 / 1.5**2, rel=1e-6)
    x = torch.tensor([[4.0, -2.0]]).double()
    moved = wopt.load(at / "out").chain.trajectory(x)[-1]
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
