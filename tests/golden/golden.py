"""Ten tiny runs on one thread, and what they must give: a redesign changes no bit of it.

`golden.py --write` makes golden.json; `golden.py --check` makes the runs and says of each whether
it has the same bits. Another processor may round otherwise, so the test compares numbers instead.
Nothing here depends on a clock: all counts are given, and what takes as many draws as there is
time for (the doubts of a sampler) is left out.
"""

from __future__ import annotations

import argparse
import csv
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
from safetensors.torch import load_file

import wopt

HERE = Path(__file__).parent
FROZEN = HERE / "golden.json"

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
PLAIN = {"enabled": False, "draws": 100}
"""No certificate: most runs are not there to test it."""

CLOCK = {"seconds", "cpu_seconds", "expected", "versions", "reliable", "doubts"}
"""Keys whose values depend on the clock, or on what is installed."""

NUMBERS = {
    "result.json": (
        "steps", "nll_test", "nll_gaussian", "kl", "parameters", "exact.sym_kl",
        "exact.w2_at_most", "sampler.log_z", "sampler.elbo", "sampler.eubo", "sampler.ess",
        "populations.arrival_w2.-1",
    ),
    "steps.jsonl": (
        "-1.energy", "-1.energy_change", "-1.w2_step", "-1.decrease", "-1.residual",
        "-1.nll_valid", "-1.loss", "-1.time",
    ),
    "certificate.json": (
        "gap.lower", "gap.estimate", "gap.upper", "start.w2", "start.kl", "final.w2.value",
        "steps.-1.residuals.affine.value", "steps.-1.residual.value", "steps.-1.movement.value",
        "steps.-1.transport.cost.value", "challengers.value", "two_sample.p_value", "mass.value",
    ),
    "report.json": ("log_z", "elbo", "ess", "k_hat", "means.0", "sds.1"),
}  # fmt: skip
"""The few that a machine with other rounding must give as well, by file and path."""

Json = Any
Runs = dict[str, Callable[[Path], None]]


def make(path: Path, *, listener: Any = None, **changes: Any) -> None:
    """Make a run without a page, whose pictures take most of the time."""
    from wopt.config.model import validate
    from wopt.runs.execute import run

    told = () if listener is None else (listener,)
    run(validate({**BASE, **changes}), path, *told, report=False)


def data(path: Path) -> None:
    """Draw from a toy; its certificate repeats the effort that recorded.json has."""
    from wopt.runs.certify import certify_run

    make(path, certify=PLAIN)
    shutil.copy(HERE / "recorded.json", path / "certificate.json")
    certify_run(path, again=True)


def mixed(path: Path) -> None:
    """Texts, whole numbers and positive ones, some missing: rows without them."""
    rng = np.random.default_rng(0)
    city, age = rng.integers(0, 3, 240), rng.integers(18, 60, 240)
    price = np.exp(0.3 * city + 0.02 * age + 0.2 * rng.normal(size=240))
    rows = [
        [("oslo", "rome", "lima")[c], a, "" if k % 9 == 0 else repr(float(p))]
        for k, (c, a, p) in enumerate(zip(city, age, price, strict=True))
    ]
    source = {
        "path": _table(path, "city age price", rows),
        "nan": "drop",
        "support": {"price": "positive"},
    }
    block = {"name": "autoregressive", "transforms": 1, "hidden": [8]}
    make(path, source={"name": "array", **source}, block=block, certify=PLAIN)


def conditional(path: Path) -> None:
    """The law of two columns given a third that has gaps: they become a condition of its own."""
    rng = np.random.default_rng(1)
    u, noise = rng.uniform(-2, 2, 240), rng.normal(size=(240, 2))
    xy = u[:, None] * [1.5, -0.7] + noise @ [[0.6, 0.3], [0.0, 0.4]]
    rows = [
        [x, "" if k % 7 == 0 else v, y]
        for k, (v, (x, y)) in enumerate(zip(u.tolist(), xy.tolist(), strict=True))
    ]
    source = {"path": _table(path, "x u y", rows), "nan": "mask", "context": ["u"]}
    make(path, source={"name": "array", **source}, block="affine")


def posterior(path: Path) -> None:
    """Sample a law on a half-line times a normal one, by a given number of iterations.

    The budget is too small for any machine to look for modes, and 90 draws are too few for the
    steps that a sampler's report makes as long as there is time.
    """

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        return 2 * x[:, 0].log() - 2 * x[:, 0] - (x[:, 1] - x[:, 0]).square() / 0.5

    found = wopt.sample(
        log_prob, 2, n=90, names=["a", "b"], support={"a": "positive"}, budget=1e-6, iterations=2
    )
    path.mkdir(parents=True)
    found.flow.save(path / "flow.safetensors")
    np.save(path / "samples.npy", found.draws.numpy())
    np.save(path / "log_weights.npy", found.log_weights.numpy())
    (path / "report.json").write_text(json.dumps(found.report.to_dict()))


def snapshots(path: Path) -> None:
    """A way through three populations."""
    rng = np.random.default_rng(2)
    rows = [[x + day, day, y] for day in range(3) for x, y in rng.normal(size=(60, 2)).tolist()]
    source = {"name": "snapshots", "path": _table(path, "a day b", rows), "time": "day", "steps": 1}
    scheme = {"name": "jko", "step_size": {"name": "arrival", "steps": 1}}
    make(
        path, source=source, objective="energy_distance", scheme=scheme, block="affine",
        certify=PLAIN,
    )  # fmt: skip


def evolution(path: Path) -> None:
    """An Ornstein-Uhlenbeck process, looked at on its way and compared with the exact law."""
    law = {"name": "gaussian", "scale": 2.0}
    source = {"name": "density", "law": law, "dim": 1, "rule": "gauss", "nodes": 4, "n_test": 50}
    make(
        path, source=source, objective="kl", block="affine", exact="ornstein_uhlenbeck",
        scheme={"name": "jko", "step_size": 0.25}, stop={"time": 0.7}, snapshots={"times": [0.4]},
        solver={"optimiser": "lbfgs", "iterations": 40}, certify=PLAIN,
    )  # fmt: skip


class Interrupt(wopt.Listener):
    """Interrupts a run after its first step."""

    def step(self, record: Any) -> None:
        raise KeyboardInterrupt


def resumed(path: Path) -> None:
    """Interrupted after a step, and resumed."""
    from wopt.runs.execute import resume

    make(path, listener=Interrupt())
    assert json.loads((path / "result.json").read_text())["status"] == "stopped"
    resume(path, report=False)


def sharded(path: Path) -> None:
    """Sums over four parts in a fixed order."""
    solver = {**BASE["solver"], "batch_size": 120}
    make(path, run={"shards": 4}, solver=solver, stop={"steps": 1}, certify=PLAIN)


def failed(path: Path) -> None:
    """A first step that is good, and a second that the guard rejects for good."""
    solver = {**BASE["solver"], "by_step": [1.0, {"learning_rate": 10.0, "clip": 0}]}
    make(path, solver=solver, guard={"retries": 1, "refinements": 0}, certify=PLAIN)


def push_forward(path: Path) -> None:
    """A Gaussian carried to a mixture that is known by its potential."""
    target = {"name": "mixture", "means": [[-1.0, 0.0], [1.0, 0.5]]}
    source = {"name": "gaussian", "dim": 2, "n_train": 120, "n_valid": 80, "n_test": 80}
    kl = {"name": "kl", "target": target}
    make(path, source=source, objective=kl, model="push_forward")


RUNS: Runs = {
    one.__name__: one
    for one in (
        data, mixed, conditional, posterior, snapshots, evolution, resumed, sharded, failed,
        push_forward,
    )
}  # fmt: skip


def _table(path: Path, names: str, rows: list[list[Any]]) -> str:
    """Write a table beside a run and return its path."""
    at = path.with_suffix(".csv")
    at.parent.mkdir(parents=True, exist_ok=True)
    with at.open("w", newline="") as file:
        csv.writer(file).writerows([names.split(), *rows])
    return str(at)


def documents(path: Path) -> Iterator[tuple[str, Json]]:
    """Yield the JSON files of a run, and as lists those that have a document a line."""
    for file in sorted(path.rglob("*.json*")):
        text, name = file.read_text(), file.relative_to(path).as_posix()
        if file.suffix == ".jsonl":
            yield name, [json.loads(line) for line in text.splitlines()]
        else:
            yield name, json.loads(text)


def fingerprint(path: Path) -> dict[str, dict[str, Any]]:
    """Return hashes of all tensors and numbers of a run by file, and a few of the numbers."""
    hashes, numbers = {}, {}
    for file in sorted(path.rglob("*.safetensors")):
        name, tensors = file.relative_to(path).as_posix(), load_file(file)
        each = {key: _hash(tensors[key].numpy()) for key in sorted(tensors)}
        of_map = name.startswith(("blocks/", "flow"))
        hashes[name] = each if of_map else {"all": _hash(np.array([*each.items()]))}
        if of_map:
            numbers[f"{name}: norm"] = math.hypot(
                *(float(t.double().norm()) for t in tensors.values())
            )
    for file in sorted(path.glob("*.npy")):
        rows = np.load(file)
        hashes[file.name] = {"all": _hash(rows)}
        numbers[f"{file.name}: norm"] = float(np.linalg.norm(rows.astype(float)))
    for name, document in documents(path):
        parts = {key: _numbers(part, key) for key, part in sorted(_by_key(document).items())}
        hashes[name] = {
            key: _hash(np.array(json.dumps(part, sort_keys=True)))
            for key, part in parts.items()
            if key not in CLOCK and not _empty(part)
        }
        for way in NUMBERS.get(name, ()):
            value = _at(document, way.split("."))
            if isinstance(value, (int, float)):
                numbers[f"{name}: {way}"] = value
    return {**hashes, "numbers": numbers}


def _hash(array: np.ndarray) -> str:
    about = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(about + np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def _by_key(document: Json) -> dict[str, Json]:
    """Return a document as it is, and lines as one with a list for each key."""
    if isinstance(document, dict):
        return document
    return {key: [line.get(key) for line in document] for line in document for key in line}


def _numbers(value: Json, key: str = "") -> Json:
    """Return a document without what a clock decides, and without sentences."""
    if isinstance(value, dict):
        return {k: _numbers(v, k) for k, v in value.items() if k not in CLOCK}
    if isinstance(value, list):
        return [_numbers(v, key) for v in value]
    return value if not isinstance(value, str) or key == "status" else None


def _empty(value: Json) -> bool:
    """Whether a document has nothing but null in it."""
    if isinstance(value, (dict, list)):
        return all(map(_empty, value.values() if isinstance(value, dict) else value))
    return value is None


def _at(document: Json, way: list[str]) -> Json:
    """Return what is at a path, or ``None``."""
    for key in way:
        if isinstance(document, list):
            document = document[int(key)] if document else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document


def differing(frozen: dict[str, Any], found: dict[str, Any], relative: float) -> list[str]:
    """Return in words which numbers differ by more than so much."""
    said = []
    for key in sorted(frozen.keys() | found.keys()):
        a, b = frozen.get(key, math.nan), found.get(key, math.nan)
        if not math.isclose(a, b, rel_tol=relative, abs_tol=1e-12):
            said.append(f"{key}: {b!r}, frozen {a!r}")
    return said


def fingerprints(folder: Path) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Make all runs and yield the name and fingerprint of each."""
    torch.set_num_threads(1)
    for name, make_it in RUNS.items():
        make_it(folder / name)
        yield name, fingerprint(folder / name)


def check(folder: Path) -> int:
    """Print of each run whether it is equal to the bit; return how many are not."""
    frozen, wrong = json.loads(FROZEN.read_text()), 0
    for name, found in fingerprints(folder):
        old, new = _flat(frozen[name]), _flat(found)
        other = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        print(f"{name}: {'different' if other else 'equal'} ({len(new)} parts)")
        for key in other:
            print(f"    {key}: {new.get(key, 'is gone')}, frozen {old.get(key, 'without it')}")
        wrong += bool(other)
    return wrong


def _flat(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{file}: {key}": one for file, parts in found.items() for key, one in parts.items()}


def write(folder: Path) -> None:
    """Freeze what the runs give now: a line a file of each run."""
    lines = (
        f'"{name}": {{\n'
        + ",\n".join(f'  "{file}": {json.dumps(parts)}' for file, parts in found.items())
        + "\n}"
        for name, found in fingerprints(folder)
    )
    FROZEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help="freeze what the runs give now")
    group.add_argument("--check", action="store_true", help="exit status 1 where a bit differs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.check:
            return int(check(Path(folder)) > 0)
        write(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
