"""Lower sides of short runs: what the certificate of a few seconds' training finds of the truth.

    python benchmarks/short_runs.py runs.jsonl            # makes the runs that are not there
    python benchmarks/short_runs.py runs.jsonl --table    # the table of what is there

Each run is a whole one, with the budget of the default and a report, in a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench import one_thread, table
from certificates import tried

LAWS = ("ring-2*", "rose-2*", "mixture-5", "student-5*", "parity-5*", "banana-10")
ITERATIONS = (200, 800, 2000)
ROWS, TRUTH = 6000, 20_000
"""Of the table, of which a tenth judges; fresh rows that say what is true."""


def make(name: str, iterations: int) -> dict[str, Any]:
    """Train, certify and compare with the truth."""
    import torch

    from wopt.config.model import validate
    from wopt.runs.execute import begin
    from wopt.runs.loading import load
    from wopt.runs.preparation import prepare

    one_thread()
    law, draw = tried()[name], torch.Generator().manual_seed(iterations)
    with tempfile.TemporaryDirectory() as folder:
        rows, out = Path(folder) / "rows.npy", Path(folder) / "run"
        np.save(rows, law.sample(ROWS, draw).numpy())
        config = {
            "source": {"name": "array", "path": str(rows)},
            "block": {"name": "autoregressive"},
            "scheme": {"name": "jko", "step_size": 100.0},
            "solver": {"iterations": iterations},
            "stop": {"steps": 1},
        }
        begin(prepare(validate(config)), out)
        steps = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
        made = json.loads((out / "certificate.json").read_text())
        x = law.sample(TRUTH, draw)
        gap = law.log_prob(x) - load(out).log_prob(x, audit=True)
    trained = sum(step["cpu_seconds"] for step in steps)
    side = made["challengers"] or {"low": 0.0, "value": 0.0, "rows": 0}
    return {
        "law": name,
        "iterations": iterations,
        "true": float(gap.mean()),
        "low": side["low"],
        "value": side["value"],
        "rows": side["rows"],
        "trained": trained,
    }


def main() -> None:
    """Make runs, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(make(asked.one[0], int(asked.one[1]))))
        return
    text = asked.file.read_text() if asked.file.exists() else ""
    runs = [json.loads(line) for line in text.splitlines()]
    if asked.table:
        print(shown(runs))
        return
    done = {(run["law"], run["iterations"]) for run in runs}
    for iterations, name in itertools.product(ITERATIONS, LAWS):
        if (name, iterations) in done:
            continue
        again = [sys.executable, __file__, str(asked.file), "--one", name, str(iterations)]
        made = subprocess.run(
            again, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True
        )
        with asked.file.open("ab") as file:
            file.write(made.stdout)


def shown(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a table, a line a law."""
    rows = []
    for name in LAWS:
        some = sorted((r for r in runs if r["law"] == name), key=lambda r: r["iterations"])
        cells = [f"{max(r['low'], 0):.3g} of {r['true']:.3g} ({r['trained']:.0f} s)" for r in some]
        rows.append((name, *cells))
    return table(("law", *(f"{n} iterations" for n in ITERATIONS)), rows)


if __name__ == "__main__":
    main()
