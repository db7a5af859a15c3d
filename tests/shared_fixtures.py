"""What the tests share: a tiny run, the command line in this process, a clean session."""

import copy
import dataclasses
import sys
import types

import pytest
import tomli_w
import torch
from zoo import DATA

import wopt
from wopt.cli.main import main
from wopt.host import host


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
def session():
    """Forget afterwards what a test registers, and what failed."""
    registry = host().registry
    entries, failures = dict(registry._entries), dict(registry.failures)
    yield registry
    registry._entries, registry.failures = entries, failures


@pytest.fixture
def tiny():
    """Return the table of a run that takes half a second, as it is not certified."""
    return copy.deepcopy({**DATA, "certify": {"enabled": False}})


@pytest.fixture
def certified():
    """Return the table of a run that takes two seconds and is certified."""
    return copy.deepcopy(DATA)


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a table as a TOML file."""

    def write(table, name="config.toml"):
        path = tmp_path / name
        path.write_text(tomli_w.dumps(table))
        return path

    return write


@pytest.fixture
def finished_run(zoo):
    """Return the directory of one finished tiny run; do not change it."""
    return zoo("data")


@pytest.fixture
def finished(zoo, tmp_path):
    """Return a copy of a finished tiny run, to be damaged."""
    return zoo.copy("data", tmp_path)


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

    rng = torch.Generator().manual_seed(5)
    a, b = (torch.randn(5, 5, dtype=torch.float64, generator=rng) for _ in range(2))
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


@pytest.fixture(scope="session")
def new():
    """Return a function that makes a new block of a table, in float64."""

    def make(table, dim=3, **context):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return wopt.build("block", table).build(dim=dim, **context).double()

    return make


@pytest.fixture(scope="session")
def shaken(new):
    """Return a function that makes a block whose map is far from the identity.

    The last layer of ``residual`` is zero when new; it gets what bends the map visibly.
    """

    def make(table, dim=3, size=0.3, seed=1, **context):
        block = new(table, dim, **context)
        rng = torch.Generator().manual_seed(seed)
        for parameter in block.parameters():
            parameter.data += size * torch.randn(parameter.shape, dtype=torch.double, generator=rng)
        return block.requires_grad_(False).eval()

    return make


@pytest.fixture(scope="session")
def x():
    """Return points in three dimensions, some far out."""
    rng = torch.Generator().manual_seed(9)
    return 2 * torch.randn(40, 3, dtype=torch.float64, generator=rng)


@pytest.fixture
def step():
    """Return a function that makes one exact JKO step of finitely many particles."""

    def make(objective, particles, h):
        found = wopt.solve(
            particles,
            objective=objective,
            scheme={"name": "jko", "step_size": h},
            block="particles",
            solver=wopt.InnerSolver(optimiser="lbfgs"),
            stop=wopt.Stop(steps=1),
        )
        assert found.status == "done", found.reason
        return found.state.train.particles

    return make
