"""A stranger's plugin: installed by pip from a folder of its own, it runs by name from a config."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import tomli_w

PROJECT = """
[build-system]
requires = ["setuptools>=70.1"]
build-backend = "setuptools.build_meta"
[project]
name = "wopt-{name}"
version = "2.{minor}"
dependencies = ["wopt-core"]
[project.entry-points.wopt]
{name} = "wopt_{name}.hooks"
[tool.setuptools]
packages = ["wopt_{name}"]
"""

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
    """Writes what it is told to a file, and may be made to fail at some words."""
    def __init__(
        self,
        path: Annotated[str, Field(description="the file")],
        sulks_at: Annotated[str, Field(description="the words at which it raises")] = "never",
    ):
        self.path, self.sulks_at = path, sulks_at

    def _write(self, word, value):
        if word in self.sulks_at.split():
            raise RuntimeError("I will not")
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


def write_package(folder, name, minor, files):
    package = folder / name / f"wopt_{name}"
    package.mkdir(parents=True)
    (folder / name / "pyproject.toml").write_text(PROJECT.format(name=name, minor=minor))
    (package / "__init__.py").write_text("")
    for file, text in files.items():
        (package / file).write_text(text)
    return folder / name


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install two plugins with pip into a folder of their own; the second one is broken."""
    folder = tmp_path_factory.mktemp("strangers")
    packages = [
        write_package(folder, "stranger", 7, {"hooks.py": HOOKS, "parts.py": PARTS}),
        write_package(folder, "wreck", 8, {"hooks.py": "raise OSError('no licence found')"}),
    ]
    own = find_spec("setuptools") and tuple(map(int, version("setuptools").split(".")[:2]))
    isolation = ["--no-build-isolation"] if own and own >= (70, 1) else []
    options = ["install", "--quiet", "--no-deps", "--disable-pip-version-check", *isolation]
    subprocess.run(
        [sys.executable, "-m", "pip", *options, "--target", folder / "site", *packages],
        check=True,
        capture_output=True,
    )
    return folder / "site"


@pytest.fixture
def wopt_with(installed, tmp_path):
    """Return the installed command ``wopt`` with the strangers on its path."""
    script = Path(sys.executable).with_name("wopt")
    start = [script] if script.exists() else [sys.executable, "-m", "wopt.cli.main"]
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def call(*words):
        return subprocess.run(
            [*start, *words], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    return call


SEVERAL = """
import contextlib, io, json, sys
from wopt.cli.main import main
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


@pytest.fixture
def one_after_the_other(installed, tmp_path):
    """Return what several commands answer in one process: importing torch takes seconds."""
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def call(*commands):
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, json.dumps(commands)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return call


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_config(tmp_path, name="config.toml", **changes):
    table = {key: dict(value) if isinstance(value, dict) else value
             for key, value in CONFIG.items()}  # fmt: skip
    for key, change in changes.items():
        table[key] |= change
    (tmp_path / name).write_text(tomli_w.dumps(table))


def test_what_is_listed_and_what_is_refused(one_after_the_other, tmp_path):
    wrong = {"stiffness": -1.0}, {"shar": 0.5}, {"gain": "big"}
    write_config(tmp_path, **dict(zip(("objective", "scheme", "block"), wrong, strict=True)))
    write_config(tmp_path, "misspelt.toml", objective={"name": "sprong"})
    listed, refused, unknown = one_after_the_other(
        ["plugins", "--json"],
        ["run", "config.toml", "--out", "out"],
        ["validate", "misspelt.toml"],
    )
    assert listed[0] == 0
    has_the_good_one_and_the_broken_one(json.loads(listed[1]))
    assert not (tmp_path / "out").exists()
    names_wrong_options(*refused)
    assert unknown[0] == 2
    for word in ("no objective named 'sprong'", "'spring'", "failed to load: wreck"):
        assert word in unknown[2]


def has_the_good_one_and_the_broken_one(listing):
    rows = {row["name"]: row for row in listing}
    stranger, wreck = rows["stranger"], rows["wreck"]
    assert (stranger["distribution"], stranger["version"]) == ("wopt-stranger", "2.7")
    assert (stranger["status"], stranger["error"]) == ("ok", None)
    assert {c["name"] for c in stranger["components"]} == {
        "spring", "timid", "translation", "diary"
    }  # fmt: skip
    assert (wreck["status"], wreck["error"]) == ("failed", "OSError: no licence found")
    assert (wreck["distribution"], wreck["components"]) == ("wopt-wreck", [])
    assert rows["jko"]["status"] == "ok"


def test_a_run_uses_all_of_it_by_name(wopt_with, tmp_path):
    write_config(tmp_path)
    done = wopt_with("run", "config.toml", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "plugin 'wreck' failed to load: OSError: no licence found" in done.stderr
    records = lines(tmp_path / "out/steps.jsonl")
    # A spring of stiffness 1 over h' = 0.5 * 2: each step goes half of the way to the centre.
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert (result["status"], result["steps"], result["nll_test"]) == ("done", 2, None)
    assert records[1]["w2_step"] == pytest.approx(records[0]["w2_step"] / 2, rel=1e-2)
    assert result["parameters"] == 4
    assert result["versions"]["wopt-stranger"] == "2.7"
    # The tracker was told of everything.
    output = lines(tmp_path / "diary.jsonl")
    assert [word for word, _ in output] == ["start", "step", "step", "end"]
    assert output[0][1]["block"] == {"name": "translation", "gain": 2.0}
    assert [output[1][1], output[2][1]] == records
    assert output[3][1]["status"] == "done"
    # And what it left can be used again.
    assert wopt_with("resume", "out").returncode == 0


def names_wrong_options(status, _, output):
    assert status == 2
    assert "Traceback" not in output
    for words in (
        ["config.toml: objective.stiffness", "got -1.0"],
        ["config.toml: scheme.shar: unknown option", "did you mean 'share'"],
        ["config.toml: block.gain", "got 'big'"],
    ):
        assert any(all(w in line for w in words) for line in output.splitlines()), words


def test_a_tracker_that_raises_does_not_end_the_run(wopt_with, tmp_path):
    words = "step end"
    write_config(tmp_path, tracker={"sulks_at": words})
    done = wopt_with("run", "config.toml", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/result.json").read_text())["status"] == "done"
    for word in words.split():
        message = f"the tracker failed at {word}: RuntimeError: I will not"
        assert message in done.stdout + done.stderr
        assert message in (tmp_path / "out/log.txt").read_text()
    assert [word for word, _ in lines(tmp_path / "diary.jsonl")] == ["start"]
