"""What the tests share: a tiny run, the command line in this process, a clean session."""

import copy
import dataclasses
import importlib
import shutil
import sys
import types

import pytest
import tomli_w
import torch

from wopt.cli.main import main
from wopt.config.model import validate
from wopt.host import host
from wopt.runs.execute import run

TINY = {
    "seed": 3,
    "source": {"name": "toy", "shape": "moons", "n_train": 300, "n_valid": 200, "n_test": 200},
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
    "solver": {"iterations": 15, "batch_size": 100},
    "stop": {"steps": 2},
    "certify": {"particles": 400, "iterations": 15, "transport_rows": 40},
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    def is_mistake(self, *words, status=2):
        """Check that the command answered with one clear message that holds all the words."""
        assert self.status == status, (self.status, self.err)
        assert "Traceback" not in self.err + self.out
        missing = [word for word in words if word not in self.err]
        assert not missing, f"{missing} not in: {self.err}"
        return True


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny tensors are quickest on one thread, and its sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(monkeypatch, capsys):
    """Return the command ``wopt`` as a function of its words, run in this process."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["wopt", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Answer(ended.value.code, printed.out, printed.err)

    return call


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave pictures out of pages, for tests that look at something else.

    They take two of the three seconds of a tiny run. tests/report looks at them, and runs of other
    kinds of data draw theirs.
    """
    room = importlib.import_module("wopt.report.render")  # its name is the function's too
    monkeypatch.setattr(room, "pictures", lambda run: [])


@pytest.fixture
def session():
    """Forget afterwards what a test registers, and what failed."""
    registry = host().registry
    entries, failures = dict(registry._entries), dict(registry.failures)
    yield registry
    registry._entries, registry.failures = entries, failures


@pytest.fixture
def tiny():
    """Return the table of a run that takes a second."""
    return copy.deepcopy(TINY)


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a table as a TOML file."""

    def write(table, name="config.toml"):
        path = tmp_path / name
        path.write_text(tomli_w.dumps(table))
        return path

    return write


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Return the directory of one finished tiny run; do not change it."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    run(validate(copy.deepcopy(TINY)), path)
    return path


@pytest.fixture
def finished(finished_run, tmp_path):
    """Return a copy of a finished tiny run, to be damaged."""
    return shutil.copytree(finished_run, tmp_path / "finished")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that makes an importable module of a source text."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = []

    def make(name, text):
        (folder / f"{name}.py").write_text(text)
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def gaussians():
    """Return pairs of Gaussians, start and target, by name: float64 means and covariances."""

    def pair(*values):
        return types.SimpleNamespace(
            **{
                key: torch.tensor(value, dtype=torch.float64)
                for key, value in zip(("m", "c", "n", "s"), values, strict=True)
            }
        )

    draw = torch.Generator().manual_seed(5)
    a, b = (torch.randn(5, 5, dtype=torch.float64, generator=draw) for _ in range(2))
    eye = torch.eye(5, dtype=torch.float64)
    return {
        "line": pair([1.5], [[4.0]], [-0.5], [[0.7]]),
        "commuting": pair([2.0, -1.0], [[4.0, 0.0], [0.0, 0.3]], [0.0, 1.0], [[1.0, 0], [0, 2.0]]),
        "rotated": pair(
            [2.0, -1.0], [[3.0, 1.2], [1.2, 1.0]], [0.0, 1.0], [[1.0, -0.6], [-0.6, 2]]
        ),
        "five": types.SimpleNamespace(
            m=a[0], c=a @ a.T / 5 + 0.3 * eye, n=b[0], s=b @ b.T / 5 + 0.3 * eye
        ),
    }
