"""Curves inside a run: the NLL by step and CPU second, over five seeds.

    python benchmarks/curves.py [--seeds 0 1 2 3 4]

The laws are drawn from a density that is known, so the entropy is the floor of every NLL. A row is
the end of a step: mean and standard deviation over seeds of the CPU seconds spent so far and of the
held-out NLL above the entropy; then the smoothed training loss at quarters of the step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench import machine, one_thread, table

import wopt
from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.runs.execute import run_config

SHAPES = ("checkerboard", "eight_gaussians")
METHODS: dict[str, dict[str, Any]] = {
    "ode, h = 1, 2, 4, 8": {
        "scheme": {"name": "jko", "step_size": [1.0, 2.0, 4.0, 8.0]},
        "block": {"name": "ode", "width": 64},
        "solver": {"iterations": 60},
        "stop": {"steps": 4},
    },
    "autoregressive, h = 1, 100": {
        "scheme": {"name": "jko", "step_size": [1.0, 100.0]},
        "block": {"name": "autoregressive", "univariate": "spline", "bins": 16},
        "solver": {"iterations": 150, "optimiser": "muon", "ema": 0.98, "by_step": [0.3, 1.0]},
        "stop": {"steps": 2},
    },
}
QUARTERS = (0.25, 0.5, 0.75, 1.0)


class Curves(Listener):
    """Keeps the smoothed loss of each step as it falls, and the records."""

    def __init__(self) -> None:
        self.losses: dict[int, dict[float, float]] = {}
        self.records: list[Any] = []

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Hear of an iteration."""
        if what == "training":
            for quarter in QUARTERS:
                if done == max(1, round(quarter * total)):
                    self.losses.setdefault(step, {})[quarter] = loss

    def step(self, record: Any) -> None:
        """Hear that a step is made."""
        self.records.append(record)


def curve(shape: str, method: dict[str, Any], seed: int, quick: bool) -> list[dict[str, float]]:
    """Return a row a step of one run."""
    size = 500 if quick else 5_000
    source = {"name": "toy", "shape": shape, "n_train": size, "n_valid": 1000, "n_test": 500}
    config = validate({**method, "source": source, "seed": seed, "certify": {"enabled": False}})
    floor = wopt.build("source", source).load(seed).entropy
    heard = Curves()
    with tempfile.TemporaryDirectory() as folder:
        run_config(config, Path(folder) / "run", heard, report=False)
    rows, spent = [], 0.0
    for record in heard.records:
        spent += record.cpu_seconds
        losses = heard.losses.get(record.step, {})
        above = record.nll_valid - floor
        rows.append({"seconds": spent, "above": above, **{str(q): losses[q] for q in QUARTERS}})
    return rows


def spread(values: list[float]) -> str:
    """Return the mean and the standard deviation, in words."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    asked = parser.parse_args()
    one_thread()
    seeds = asked.seeds[:1] if asked.quick else asked.seeds
    lines = []
    for shape in SHAPES[: 1 if asked.quick else None]:
        for name, method in METHODS.items():
            if asked.quick:
                method = {**method, "solver": {**method["solver"], "iterations": 8}}
            runs = [curve(shape, method, seed, asked.quick) for seed in seeds]
            for step, rows in enumerate(zip(*runs, strict=False), 1):
                cells = [spread([row[key] for row in rows]) for key in rows[0]]
                lines.append((shape, name, step, *cells))
    head = ("law", "method", "step", "CPU s so far", "NLL above the entropy",
            *(f"loss at {q:.0%}" for q in QUARTERS))  # fmt: skip
    print(f"{machine()}; {len(seeds)} seed(s), mean +- standard deviation")
    print()
    print(table(head, lines))


if __name__ == "__main__":
    main()
