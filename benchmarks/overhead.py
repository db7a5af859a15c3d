"""What a run costs beside training: start, measuring, certificate and report.

    python benchmarks/overhead.py [--budget 60] [--only WORDS]

Every run is a process of its own, timed by what it tells its listener. *start* is imports,
*training* planning too, *measuring* the figures on test rows, samples and what pictures need.
*beside training* is measuring, certificate and report by training. The load of the machine is
told: above the number of cores CPU seconds grow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import machine, one_thread, table


def moons(rows: int) -> dict[str, Any]:
    """Return a source of moons, split 80 : 10 : 10."""
    part = rows // 10
    split = {"n_train": rows - 2 * part, "n_valid": part, "n_test": part}
    return {"name": "toy", "shape": "moons", **split}


TABLE = {"name": "array", "path": "{table}"}
ONE = {"block": {"name": "autoregressive"}, "stop": {"steps": 1}}


def several(iterations: int) -> dict[str, Any]:
    """Return a run of four ``ode`` blocks."""
    return {"source": moons(10_000), "solver": {"iterations": iterations}}


def one_step(iterations: int) -> dict[str, Any]:
    """Return a run of one autoregressive step."""
    return {**ONE, "source": moons(20_000), "solver": {"iterations": iterations}}


RUNS: dict[str, dict[str, Any]] = {
    "a table of 300 x 3, ode, 4 steps of 5 iterations": {
        "source": TABLE,
        "solver": {"iterations": 5},
    },
    "a table of 300 x 3, planned": {"source": TABLE, "plan": {"budget": "{budget}"}},
    "10,000 x 2, ode, 4 steps of 10 iterations": several(10),
    "10,000 x 2, ode, 4 steps of 25 iterations": several(25),
    "10,000 x 2, ode, 4 steps of 70 iterations": several(70),
    "10,000 x 2, ode, 4 steps of 150 iterations": several(150),
    "20,000 x 2, autoregressive, 250 iterations": one_step(250),
    "20,000 x 2, autoregressive, 650 iterations": one_step(650),
    "20,000 x 2, autoregressive, 1,600 iterations": one_step(1600),
    "20,000 x 2, autoregressive, 3,500 iterations": one_step(3500),
    "20,000 x 2, autoregressive, 6,000 iterations": one_step(6000),
}
"""Configurations by what they are: of about 2, 5, 12, 25 and 40 seconds of training."""

PARTS = ("start", "training", "measuring", "certificate", "report")


def one(config: dict[str, Any]) -> dict[str, float]:
    """Make a run in this process; return the CPU seconds of its parts."""
    import numpy as np

    from wopt.interfaces.listener import Listener
    from wopt.runs.building import build_problem
    from wopt.runs.execute import begin

    one_thread()
    marks = dict.fromkeys(PARTS[:1], 0.0)

    class Clock(Listener):
        """Notes when a part of the run is over."""

        def phase(self, text: str) -> None:
            """Hear that measuring begins, or the certificate."""
            if text.startswith("measuring"):
                marks["training"] = time.process_time()
            if text.startswith("certifying"):
                marks["measuring"] = time.process_time()

        def certificate(self, certificate: Any) -> None:
            """Hear that the certificate is made."""
            marks["certificate"] = time.process_time()

    with tempfile.TemporaryDirectory() as folder:
        x = np.random.default_rng(0).standard_normal((300, 3))
        x[:, 1] += x[:, 0] ** 2
        np.save(Path(folder) / "table.npy", x)
        if config["source"] == TABLE:
            config["source"] = TABLE | {"path": str(Path(folder) / "table.npy")}
        marks["start"] = time.process_time()  # a plan's trials are training
        begin(build_problem(config), Path(folder) / "run", Clock())
    marks["report"] = time.process_time()
    return {part: marks[part] - ([0.0, *marks.values()][k]) for k, part in enumerate(PARTS)}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=60.0, help="CPU s of planned runs")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--only", default="", help="runs whose name holds these words")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(json.loads(asked.one))))
        return
    budget = 3.0 if asked.quick else asked.budget
    rows = []
    chosen = [(name, config) for name, config in RUNS.items() if asked.only in name]
    for name, config in chosen[: 2 if asked.quick else None]:
        text = json.dumps(config).replace('"{budget}"', str(budget))
        done = subprocess.run(
            [sys.executable, __file__, "--one", text],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        parts = json.loads(done.stdout.splitlines()[-1])
        fraction = sum(parts[p] for p in PARTS[2:]) / parts["training"]
        rows.append((name, *(round(parts[p], 2) for p in PARTS), round(fraction, 2)))
    print(f"{machine()}, load {os.getloadavg()[2]:.0f} on {os.cpu_count()} cores")
    print()
    print(table(("run", *(f"{part}, CPU s" for part in PARTS), "beside training"), rows))


if __name__ == "__main__":
    main()
