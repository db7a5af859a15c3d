"""Ten tiny runs on one thread, and what they must give: a redesign changes no bit of it.

`golden.py --write` makes golden.json; `golden.py --check` makes the runs and says of each whether
it has the same bits. Another processor may round otherwise, so the test compares numbers instead.
Nothing here depends on a clock: all counts are given, and what takes as many draws as there is
time for (the doubts of a sampler) is left out.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.numpy import load_file

import wopt

HERE = Path(__file__).parent
FROZEN = HERE / "golden.json"

PLAIN = {"enabled": False, "draws": 100}
"""No certificate: most runs are not there to test it."""
BASE = {
    "seed": 3,
    "dtype": "float64",
    "source": {"name": "toy", "shape": "moons", "n_train": 120, "n_valid": 80, "n_test": 80},
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "block": {"name": "ode", "width": 4, "sharpness": 2.0, "steps": 2},
    "solver": {"iterations": 6, "batch_size": 40, "learning_rate": 0.02},
    "stop": {"steps": 2},
    "certify": {
        "budget": 0, "challenge": False, "two_sample": False, "particles": 100,
        "iterations": 0, "score_rows": 20, "transport_rows": 20, "draws": 100,
    },
}  # fmt: skip
TABLES: dict[str, dict[str, Any]] = {
    "evolution": {
        "source": {"name": "density", "law": {"name": "gaussian", "scale": 2.0}, "dim": 1,
                   "rule": "gauss", "nodes": 4, "n_test": 50},
        "block": "affine", "exact": "ornstein_uhlenbeck", "stop": {"time": 0.7},
        "scheme": {"name": "jko", "step_size": 0.25}, "snapshots": {"times": [0.4]},
        "solver": {"optimiser": "lbfgs", "iterations": 40}, "certify": PLAIN,
    },
    "failed": {  # at its second step, which the guard rejects for good
        "solver": {**BASE["solver"], "by_step": [1.0, {"learning_rate": 10.0, "clip": 0}]},
        "guard": {"retries": 1, "refinements": 0}, "certify": PLAIN,
    },
    "push_forward": {
        "source": {"name": "gaussian", "dim": 2, "n_train": 120, "n_valid": 80, "n_test": 80},
        "objective": {"name": "kl", "target": {"name": "mixture", "means": [[-1, 0], [1, 0.5]]}},
        "model": "push_forward",
    },
}  # fmt: skip
"""Runs that are a change of the table above."""

CLOCK = {"seconds", "cpu_seconds", "expected", "versions", "reliable", "doubts"}
"""Keys whose values depend on the clock, or on what is installed."""

NUMBERS = (
    "nll_test", "nll_gaussian", "kl", "exact.sym_kl", "sampler.log_z", "sampler.elbo",
    "sampler.eubo", "populations.arrival_w2.-1", "energy.-1", "w2_step.-1", "decrease.-1",
    "residual.-1", "nll_valid.-1", "loss.-1", "gap.lower", "gap.estimate", "gap.upper",
    "start.w2", "steps.-1.residual.value", "steps.-1.transport.cost.value", "challengers.value",
    "two_sample.p_value", "mass.value", "log_z", "elbo", "ess", "k_hat", "means.-1", "sds.-1",
)  # fmt: skip
"""The few that a machine with other rounding must give as well, by their path in a document."""

Found = dict[str, dict[str, Any]]
"""Of each file: hashes by key or tensor, and numbers by their path or as norms."""


def make(path: Path, *listener: wopt.Listener, **changes: Any) -> None:
    """Make a run without a page, whose pictures take most of the time."""
    from wopt.config.model import validate
    from wopt.runs.execute import run_config

    run_config(validate({**BASE, **changes}), path, *listener, report=False)


def data(path: Path) -> None:
    """Draw from a toy; its certificate repeats the effort that recorded.json has."""
    from wopt_certify.run import certify_run

    make(path, certify=PLAIN)
    shutil.copy(HERE / "recorded.json", path / "certificate.json")
    certify_run(path, again=True)


def mixed(path: Path) -> None:
    """Texts, whole numbers and positive ones, some missing: rows without them."""
    rng = np.random.default_rng(0)
    city, age = rng.integers(0, 3, 240), rng.integers(18, 60, 240)
    price = np.exp(0.3 * city + 0.02 * age + 0.2 * rng.normal(size=240))
    price[::9] = np.nan
    columns = [np.array(["oslo", "rome", "lima"])[city], age, price]
    block = {"name": "autoregressive", "transforms": 1, "hidden": [8]}
    source = _table(path, "city age price", columns, nan="drop", support={"price": "positive"})
    make(path, source=source, block=block, certify=PLAIN)


def conditional(path: Path) -> None:
    """The law of two columns given a third that has gaps: they become a condition of its own."""
    rng = np.random.default_rng(1)
    u, noise = rng.uniform(-2, 2, 240), rng.normal(size=(2, 240))
    columns = [1.5 * u + 0.6 * noise[0], np.where(np.arange(240) % 7 == 0, np.nan, u), noise[1] - u]
    make(path, source=_table(path, "x u y", columns, nan="mask", context=["u"]), block="affine")


def snapshots(path: Path) -> None:
    """A way through three populations."""
    rng, day = np.random.default_rng(2), np.repeat([0, 1, 2], 60)
    columns = [rng.normal(size=180) + day, day, rng.normal(size=180)]
    source = _table(path, "a day b", columns, name="snapshots", time="day", steps=1)
    scheme = {"name": "jko", "step_size": {"name": "arrival", "steps": 1}}
    about = {"objective": "energy_distance", "scheme": scheme, "block": "affine"}
    make(path, source=source, certify=PLAIN, **about)


def posterior(path: Path) -> None:
    """Sample a law on a half-line, by a given number of iterations.

    The budget is too small for any machine to look for modes, and 90 draws are too few for the
    steps that a sampler's report makes as long as there is time.
    """
    options = {"support": {"0": "positive"}, "budget": 1e-6, "iterations": 2}
    found = wopt.sample(lambda x: 2 * x[:, 0].log() - 2 * x[:, 0], 1, n=90, **options)
    path.mkdir(parents=True)
    found.flow.save(path / "flow.safetensors")
    np.save(path / "samples.npy", found.draws.numpy())
    (path / "report.json").write_text(json.dumps(found.report.to_dict()))


class Interrupt(wopt.Listener):
    """Interrupts a run after its first step."""

    def step(self, record: Any) -> None:
        raise KeyboardInterrupt


def resumed(path: Path) -> None:
    """Interrupted after a step, and resumed."""
    from wopt.runs.execute import resume

    make(path, Interrupt())
    assert json.loads((path / "result.json").read_text())["status"] == "stopped"
    resume(path, report=False)


def sharded(path: Path) -> None:
    """By two processes, each of which holds its own particles."""
    sys.path += [str(HERE.parent), str(HERE.parent / "parallel")]
    from teams import together

    solver = {**BASE["solver"], "batch_size": 60}
    table = {"run": {"hold": "shard"}, "solver": solver, "stop": {"steps": 1}, "certify": PLAIN}
    assert together(lambda _: make(path, **table)) == [None, None]


RUNS: dict[str, Callable[[Path], None]] = {
    **{f.__name__: f for f in (data, mixed, conditional, snapshots, posterior, resumed, sharded)},
    **{name: functools.partial(make, **table) for name, table in TABLES.items()},
}


def _table(path: Path, names: str, columns: list[np.ndarray], **options: Any) -> dict[str, Any]:
    """Write a table beside a run and return the source that reads it."""
    at = path.with_suffix(".csv")
    at.parent.mkdir(parents=True, exist_ok=True)
    rows = zip(*(["" if one != one else one for one in c.tolist()] for c in columns), strict=True)
    with at.open("w", newline="") as file:
        csv.writer(file).writerows([names.split(), *rows])
    return {"name": "array", "path": str(at), **options}


def documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the JSON files of a run; of those with a document a line, a list for each key."""
    for file in sorted(path.rglob("*.json*")):
        text, name = file.read_text(), file.relative_to(path).as_posix()
        if file.suffix == ".json":
            yield name, json.loads(text)
        else:
            lines = [json.loads(line) for line in text.splitlines()]
            yield name, {key: [line.get(key) for line in lines] for key in lines[-1]}


def flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is in a document by its path; items of lists count from the last, -1."""
    if not isinstance(value, (dict, list)) or not value:
        yield at, value
        return
    inner = value if isinstance(value, dict) else {k - len(value): v for k, v in enumerate(value)}
    for key, one in sorted(inner.items()):
        yield from flat(one, f"{at}.{key}".lstrip("."))


def fingerprint(path: Path) -> Found:
    """Return hashes of all tensors and numbers of a run by file, and a few of the numbers."""
    found: Found = {}
    for file in sorted([*path.rglob("*.safetensors"), *path.glob("*.npy")]):
        arrays = {"all": np.load(file)} if file.suffix == ".npy" else load_file(file)
        norms = [np.linalg.norm(np.nan_to_num(one).astype(np.float64)) for one in arrays.values()]
        hashes = {key: _hash(arrays[key]) for key in sorted(arrays)}
        found[file.relative_to(path).as_posix()] = {**hashes, "norm": math.hypot(*norms)}
    for name, document in documents(path):
        of_file = found.setdefault(name, {})
        for key, part in sorted(document.items()):
            values = [(way, one) for way, one in flat(part, key) if _counts(way, one)]
            if values:
                of_file[key] = _hash(np.array(json.dumps(values)))
            of_file |= {f"={way}": one for way, one in values if way in NUMBERS}
    return found


def _counts(way: str, value: Any) -> bool:
    """Whether a value is a number that no clock decides, or how a run ended."""
    return (isinstance(value, (int, float)) or way == "status") and not CLOCK & {*way.split(".")}


def _hash(array: np.ndarray) -> str:
    about = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(about + np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def differing(frozen: Found, found: Found, relative: float = 0.0) -> list[str]:
    """Return in words what differs: a bit, or, of numbers alone, by more than so much."""
    old, new = (
        {f"{file}: {key}": one for file, parts in each.items() for key, one in parts.items()}
        for each in (frozen, found)
    )
    said = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        near = {type(a), type(b)} == {str}
        if {type(a), type(b)} <= {int, float, bool}:
            near = math.isclose(a, b, rel_tol=relative, abs_tol=1e-12)
        if a != b and not (near and relative):
            said.append(f"{key} is {b}, frozen {a}")
    return said


def main() -> int:
    """Write or check."""
    torch.set_num_threads(1)
    if sys.argv[1:] not in (["--write"], ["--check"]):
        sys.exit(__doc__)
    frozen = {} if sys.argv[1] == "--write" else json.loads(FROZEN.read_text())
    found, wrong = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make_it in RUNS.items():
            make_it(Path(folder) / name)
            found[name] = fingerprint(Path(folder) / name)
            if frozen:
                said = differing(frozen[name], found[name])
                print("\n    ".join([f"{name}: {'different' if said else 'equal'}", *said]))
                wrong += bool(said)
    if not frozen:
        FROZEN.write_text(json.dumps(found, indent=0) + "\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
