"""Ten finished tiny runs, made once a session for all workers, which tests read by name.

The directories are read only by convention. ``zoo.copy`` gives one that may be damaged.
"""

import contextlib
import copy
import csv
import importlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

import wopt
from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.runs.execute import resume, run_config

Table = dict[str, Any]
RENDER = importlib.import_module("wopt_report.rendering")  # its name is the function's too
PICTURES = RENDER.pictures
SIZES = {"n_train": 300, "n_valid": 200, "n_test": 200}
DATA: Table = {
    "seed": 3,
    "source": {"name": "toy", "shape": "moons", **SIZES},
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
    "solver": {"iterations": 15, "batch_size": 100},
    "stop": {"steps": 2},
    "certify": {"particles": 400, "iterations": 15, "transport_rows": 40},
}
SHARDED: Table = {
    "seed": 5,
    "dtype": "float64",
    "source": {"name": "toy", "n_train": 300, "n_valid": 100, "n_test": 60},
    "block": {"name": "ode", "width": 8, "steps": 1},
    "solver": {"iterations": 6, "batch_size": 70, "check_every": 3, "patience": 2},
    "stop": {"steps": 3},
    "certify": {"enabled": False},
    "run": {"timeout": 30.0},
}
EVOLUTION: Table = {
    "dtype": "float64",
    "source": {"name": "density", "law": {"name": "gaussian", "scale": 2.0}, "dim": 1,
               "rule": "gauss", "nodes": 4, "n_test": 50},
    "objective": "kl",
    "scheme": {"name": "jko", "step_size": 0.25},
    "block": "affine",
    "solver": {"optimiser": "lbfgs", "iterations": 40},
    "stop": {"time": 0.9},
    "exact": "ornstein_uhlenbeck",
    "certify": {"enabled": False, "draws": 500},
}  # fmt: skip
TARGET = {"name": "gaussian", "mean": [1.0, -1.0], "covariance": [[1.5, 0.4], [0.4, 0.8]]}
PUSH_FORWARD: Table = {
    "source": {"name": "gaussian", "dim": 2, "scale": 1.2, "n_train": 500, "n_valid": 200,
               "n_test": 200},
    "objective": {"name": "kl", "target": TARGET},
    "scheme": {"name": "jko", "step_size": 2.0},
    "block": "affine",
    "solver": {"iterations": 100, "batch_size": 200, "learning_rate": 0.02},
    "stop": {"steps": 1},
    "certify": {"enabled": False},
}  # fmt: skip
POPULATIONS: Table = {
    "source": {"name": "snapshots", "time": "day", "leave_out": [1], "steps": 2},
    "objective": {"name": "wasserstein", "samples": 100},
    "scheme": {"name": "jko", "step_size": {"name": "arrival", "steps": 2, "last": 50.0}},
    "block": "affine",
    "solver": {"iterations": 60, "learning_rate": 0.05, "batch_size": 100},
    "stop": {"steps": 2},
    "certify": {"enabled": False},
}


@contextlib.contextmanager
def _pages(pictures: Callable[..., Any]) -> Iterator[None]:
    """Make pages with these pictures."""
    before, RENDER.pictures = RENDER.pictures, pictures
    try:
        yield
    finally:
        RENDER.pictures = before


def plain() -> contextlib.AbstractContextManager[None]:
    """Make pages without pictures."""
    return _pages(lambda run: ([], []))


def drawn() -> contextlib.AbstractContextManager[None]:
    """Make pages with their pictures."""
    return _pages(PICTURES)


def write_rows(path: Path, names: list[str], rows: list[list[Any]]) -> str:
    """Write a table and return its place."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return str(path)


def mixed_table(path: Path, n: int = 400) -> str:
    """Write numbers of which some are missing, integers, categories, truths and shares."""
    draw = random.Random(1)
    rows = []
    for _ in range(n):
        kind = draw.choice("abc")
        size = draw.gauss(3.0 * (kind == "a"), 1.0) if draw.random() < 0.95 else ""
        rest = [draw.random() < 0.7, draw.choice(["red", "blue"])]
        rows.append([size, draw.randrange(9), kind, draw.uniform(0.1, 0.9), *rest])
    return write_rows(path, ["size", "count", "kind", "share", "ok", "colour"], rows)


def people_table(path: Path, n: int = 4000) -> str:
    """Write people: ages that have a point, incomes of which 5 % are missing, kinds, counts."""
    draw = random.Random(2)
    rows = []
    for _ in range(n):
        sex, age = draw.choice("fm"), min(95, 18 + int(draw.gammavariate(4, 7)))
        income = draw.lognormvariate(7.4 + 0.01 * age + 0.2 * (sex == "m"), 0.5)
        mass = draw.gauss(23 + 0.05 * age, 3.5)
        city = draw.choices(["Aachen", "Bonn", "Kiel", "Ulm"], [5, 3, 1, 1])[0]
        children = max(0, min(6, int(draw.gauss((age - 20) / 15, 1))))
        glucose = draw.gauss(75 + 0.6 * mass + 0.2 * age, 8)
        known = "" if draw.random() < 0.05 else round(income, 2)
        rows.append([float(age), known, sex, round(mass, 1), city, children, round(glucose, 1)])
    return write_rows(path, ["age", "income", "sex", "mass", "city", "children", "glucose"], rows)


def populations_table(path: Path) -> str:
    """Write a normal population that moves by (3, 1) in two days."""
    draw = random.Random(0)
    first = [[draw.gauss(0, 1), draw.gauss(0, 1)] for _ in range(150)]
    rows = [[a, 0, b] for a, b in first]
    rows += [[a + 2.0, 1, b + 1.0] for a, b in first[:80]]  # ahead of half of the way
    rows += [[a + 3.0, 2, b + 1.0] for a, b in reversed(first)]
    return write_rows(path, ["a", "day", "b"], rows)


def _data(path: Path) -> None:
    run_config(validate(DATA), path)


def _mixed(path: Path) -> None:
    table = copy.deepcopy(DATA)
    table["source"] = {
        "name": "array", "path": mixed_table(path.with_suffix(".csv")), "context": ["kind"],
        "support": {"share": [0.0, 1.0]}, "preprocess": "gaussianise", "nan": "drop",
    }  # fmt: skip
    table["certify"] = {"particles": 100, "iterations": 2, "transport_rows": 0, "two_sample": False,
                        "challenge": False}  # fmt: skip
    table["solver"] = {"iterations": 60, "batch_size": 100, "learning_rate": 0.01}
    run_config(validate({**table, "block": "affine", "stop": {"steps": 1}}), path)


def _conditional(path: Path) -> None:
    draw = random.Random(2)
    rows = []
    for _ in range(300):
        u = draw.uniform(-2, 2)
        rows.append([1.5 * u + draw.gauss(0, 0.6), u, draw.gauss(-0.7 * u, 0.5)])
    source = {
        "name": "array", "context": ["u"],
        "path": write_rows(path.with_suffix(".csv"), ["x", "u", "y"], rows),
    }  # fmt: skip
    table = {**DATA, "source": source, "block": "affine", "certify": {"enabled": False}}
    run_config(validate({**table, "stop": {"steps": 1}}), path)


def _posterior(path: Path) -> None:
    """Make a sampler whose target is a file without its dimension."""
    file = path.with_suffix(".py")
    file.write_text("def log_prob(x): return -((x - 1) ** 2).sum(1) / 2\n")
    table = {
        **DATA,
        "source": {"name": "gaussian", "mean": [0.0, 0.0], "n_train": 500, "n_valid": 300,
                   "n_test": 300},
        "objective": {"target": {"name": "python", "log_prob": f"{file}:log_prob"}, "name": "kl"},
        "certify": {"particles": 200, "iterations": 5, "transport_rows": 0},
    }  # fmt: skip
    with wopt.allow_code():
        run_config(validate(table), path)


def _snapshots(path: Path) -> None:
    source = {**POPULATIONS["source"], "path": populations_table(path.with_suffix(".csv"))}
    run_config(validate({**POPULATIONS, "source": source}), path)


def _evolution(path: Path) -> None:
    run_config(validate({**EVOLUTION, "snapshots": {"times": [0.0, 0.4]}}), path)


class Interrupt(Listener):
    """Interrupts a run in its second step, as Ctrl-C does."""

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        if step == 2:
            raise KeyboardInterrupt


def _resumed(path: Path) -> None:
    assert run_config(validate(SHARDED), path, Interrupt(), report=False).status == "stopped"
    resume(path, report=False)


def _sharded(path: Path) -> None:
    run_config(validate(SHARDED), path, report=False)


def _failed(path: Path) -> None:
    table = copy.deepcopy(DATA)
    table["solver"]["learning_rate"] = 1e6
    run_config(validate({**table, "guard": {"retries": 0}, "certify": {"enabled": False}}), path)


def _push_forward(path: Path) -> None:
    run_config(validate(PUSH_FORWARD), path)


MAKERS: dict[str, Callable[[Path], None]] = {
    "data": _data,
    "mixed": _mixed,
    "conditional": _conditional,
    "posterior": _posterior,
    "snapshots": _snapshots,
    "evolution": _evolution,
    "resumed": _resumed,
    "sharded": _sharded,
    "failed": _failed,
    "push_forward": _push_forward,
}


class Zoo:
    """Makes each run when it is first asked for; other workers wait for it and read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        """Return the directory of a run, which nobody may change."""
        path = self.folder / name
        with FileLock(f"{path}.lock"):
            if not (made := Path(f"{path}.made")).exists():
                shutil.rmtree(path, ignore_errors=True)
                threads = torch.get_num_threads()
                torch.set_num_threads(1)
                try:
                    with drawn():
                        MAKERS[name](path)
                finally:
                    torch.set_num_threads(threads)
                made.touch()
        return path

    def copy(self, name: str, folder: Path) -> Path:
        """Return a copy below a folder, to be damaged."""
        return shutil.copytree(self(name), folder / name)
