"""Tiny runs of all kinds, made once and damaged in copies."""

import copy
import csv
import random
from pathlib import Path

from wopt.config.model import validate
from wopt.runs.execute import run_config

CERTIFY = {"particles": 100, "iterations": 2, "transport_rows": 0, "two_sample": False}
MOONS = {
    "seed": 3,
    "source": {"name": "toy", "shape": "moons", "n_train": 200, "n_valid": 100, "n_test": 100},
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
    "solver": {"iterations": 5, "batch_size": 50},
    "stop": {"steps": 2},
    "certify": CERTIFY | {"challenge": False},
}


def write_table(path, n=160):
    """Write a table with a number, an integer, a category and a bounded number."""
    draw = random.Random(1)
    with Path(path).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["size", "count", "kind", "share"])
        for _ in range(n):
            kind = draw.choice("abc")
            rows.writerow([draw.gauss(0, 2), draw.randrange(9), kind, draw.uniform(0.1, 0.9)])


def tables(folder):
    """Return configurations by name."""
    write_table(folder / "table.csv")
    mixed = copy.deepcopy(MOONS)
    mixed["source"] = {
        "name": "array", "path": str(folder / "table.csv"), "context": ["kind"],
        "support": {"share": [0.0, 1.0]}, "preprocess": "gaussianise",
    }  # fmt: skip
    mixed["block"], mixed["stop"] = "affine", {"steps": 1}
    pushed = copy.deepcopy(MOONS)
    sizes = {"n_train": 200, "n_valid": 100, "n_test": 100}
    pushed["source"] = {"name": "gaussian", "mean": [1.0, 0.0], **sizes}
    pushed["block"], pushed["stop"] = "affine", {"steps": 1}
    return {"moons": MOONS, "mixed": mixed, "pushed": pushed}


def make(folder):
    """Make the runs, and return their directories by name."""
    made = {}
    for name, table in tables(folder).items():
        made[name] = folder / name
        run_config(validate(copy.deepcopy(table)), made[name])
    return made
