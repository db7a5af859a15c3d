"""A stranger's plugin: installed in a folder of its own, it runs by name from a config."""

import json
import os
import re
import subprocess
import sys

import pytest
import tomli_w

HOOKS = """
import wopt

WOPT_API = (1, 0)

@wopt.hookimpl
def wopt_register(registry):
    place = "wopt_stranger.parts:"
    registry.add("objective", "spring", place + "Spring", summary="a spring to a centre")
    registry.add("scheme", "timid", place + "Timid", summary="jko with a shorter step")
    registry.add("block", "translation", place + "Translation", summary="x + b")
    registry.add("tracker", "diary", place + "Diary", summary="lines in a file")
"""

PARTS = '''
"""What the stranger brings."""
import json
from typing import Annotated
import torch
import wopt
from pydantic import Field
from wopt import Capability

class Spring(wopt.Objective):
    """E k|y - c|^2/2."""
    def __init__(
        self,
        stiffness: Annotated[float, Field(gt=0, description="k")] = 1.0,
        centre: Annotated[float, Field(description="c")] = 0.0,
    ):
        self.stiffness, self.centre = stiffness, centre

    def energy(self, particles):
        distance = (particles.points - self.centre).square().sum(1)
        return self.stiffness * particles.mean(distance) / 2

class Timid(wopt.ProximalScheme):
    """jko, with a share of the step."""
    def __init__(
        self,
        step_size: Annotated[wopt.StepSize, Field(description="h")] = wopt.named("constant"),
        share: Annotated[float, Field(gt=0, le=1, description="of h")] = 0.5,
    ):
        self.step_size, self.share = step_size, share

    def subproblem(self, history, objective):
        x = history.particles
        return wopt.Subproblem(x, x.points, self.share * history.step_size, objective)

class Translation(wopt.FlowBlock):
    """x + gain * b."""
    provides = Capability.LOG_DET | Capability.INVERSE

    def __init__(self, dim: int, gain: Annotated[float, Field(gt=0, description="gain")] = 1.0):
        super().__init__()
        self.gain = gain
        self.b = torch.nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        return x + self.gain * self.b, torch.zeros_like(x[:, 0])

    def inverse(self, y):
        return y - self.gain * self.b, torch.zeros_like(y[:, 0])

class Diary(wopt.Tracker):
    """Writes what it is told to a file."""
    def __init__(
        self,
        path: Annotated[str, Field(description="the file")],
    ):
        self.path = path

    def _write(self, word, value):
        with open(self.path, "a") as file:
            file.write(json.dumps([word, value]) + "\\n")

    def start(self, config):
        self._write("start", config)

    def step(self, record):
        self._write("step", record)

    def end(self, result):
        self._write("end", result)
'''

CONFIG = {
    "seed": 1,
    "source": {"name": "toy", "n_train": 200, "n_valid": 100, "n_test": 100},
    "objective": {"name": "spring", "centre": 2.0},
    "scheme": {"name": "timid", "share": 0.5, "step_size": 2.0},
    "block": {"name": "translation", "gain": 2.0},
    "solver": {"optimiser": "lbfgs", "iterations": 20},
    "stop": {"steps": 2},
    "tracker": {"name": "diary", "path": "diary.jsonl"},
    "certify": {"enabled": False},
}


def install(site, name, minor, files):
    """Leave what pip leaves of a wheel: the package, its metadata and its entry points."""
    package, about = site / f"wopt_{name}", site / f"wopt_{name}-2.{minor}.dist-info"
    package.mkdir(parents=True)
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: wopt-{name}\nVersion: 2.{minor}\nRequires-Dist: wopt-core\n"
    )
    (about / "entry_points.txt").write_text(f"[wopt]\n{name} = wopt_{name}.hooks\n")
    for file, text in {"__init__.py": "", **files}.items():
        (package / file).write_text(text)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install two plugins into a folder of their own; the second one is broken."""
    site = tmp_path_factory.mktemp("strangers")
    install(site, "stranger", 7, {"hooks.py": HOOKS, "parts.py": PARTS})
    install(site, "wreck", 8, {"hooks.py": "raise OSError('no licence found')"})
    return site


SEVERAL = """
import contextlib, importlib, io, json, sys
from wopt.cli.main import main
importlib.import_module("wopt.report.rendering").pictures = lambda run: ([], [])
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


@pytest.fixture(scope="module")
def answers(installed, tmp_path_factory):
    """Return the folder in which several commands ran in one process, and what they answered."""
    at = tmp_path_factory.mktemp("strange")
    wrong = {"objective": {"stiffness": -1.0}, "scheme": {"shar": 0.5}, "block": {"gain": "big"}}
    for name, changes in {
        "config": {},
        "wrong": wrong,
        "misspelt": {"objective": {"name": "sprong"}},
    }.items():
        table = {k: {**v, **changes.get(k, {})} if isinstance(v, dict) else v
                 for k, v in CONFIG.items()}  # fmt: skip
        (at / f"{name}.toml").write_text(tomli_w.dumps(table))
    commands = [
        ["plugins", "--json"], ["run", "wrong.toml", "--out", "wrong"],
        ["validate", "misspelt.toml"], ["run", "config.toml", "--out", "out"], ["resume", "out"],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        env=os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"},
        cwd=at, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return at, json.loads(done.stdout)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_good_one_and_the_broken_one_are_listed(answers):
    status, listing, _ = answers[1][0]
    rows = {row["name"]: row for row in json.loads(listing)}
    stranger, wreck = rows["stranger"], rows["wreck"]
    assert (status, rows["jko"]["status"]) == (0, "ok")
    assert (stranger["distribution"], stranger["version"]) == ("wopt-stranger", "2.7")
    assert (stranger["status"], stranger["error"]) == ("ok", None)
    assert {c["name"] for c in stranger["components"]} == {
        "spring", "timid", "translation", "diary"
    }  # fmt: skip
    assert (wreck["status"], wreck["error"]) == ("failed", "OSError: no licence found")
    assert (wreck["distribution"], wreck["components"]) == ("wopt-wreck", [])


def test_wrong_options_and_names_are_refused(answers):
    at, (_, (status, _, output), (unknown, _, words), *_) = answers
    assert (status, unknown) == (2, 2)
    assert "Traceback" not in output
    for found in (
        "wrong.toml: objective.stiffness.*got -1.0",
        "wrong.toml: scheme.shar: unknown option.*did you mean 'share'",
        "wrong.toml: block.gain.*got 'big'",
    ):
        assert re.search(found, output)
    assert re.search("no objective named 'sprong'.*'spring'.*failed to load: wreck", words)
    assert not (at / "wrong").exists()


def test_a_run_uses_all_of_it_by_name(answers):
    at, (*_, (status, _, output), (resumed, _, _)) = answers
    assert (status, resumed) == (0, 0)
    assert "plugin 'wreck' failed to load: OSError: no licence found" in output
    records = lines(at / "out/steps.jsonl")
    # A spring of stiffness 1 over h' = 0.5 * 2: each step goes half of the way to the centre.
    result = json.loads((at / "out/result.json").read_text())
    assert (result["status"], result["steps"], result["nll_test"]) == ("done", 2, None)
    assert records[1]["w2_step"] == pytest.approx(records[0]["w2_step"] / 2, rel=1e-2)
    assert result["parameters"] == 4
    assert result["versions"]["wopt-stranger"] == "2.7"
    told = lines(at / "diary.jsonl")
    assert [word for word, _ in told][:4] == ["start", "step", "step", "end"]
    assert told[0][1]["block"] == {"name": "translation", "gain": 2.0}
    assert [told[1][1], told[2][1]] == records
    assert told[3][1]["status"] == "done"
