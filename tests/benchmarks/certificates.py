"""Certificates against laws of known density: what is true, found from below, and said above.

    python tests/benchmarks/certificates.py runs.jsonl --limit 20   # makes runs; call it again
    python tests/benchmarks/certificates.py runs.jsonl --table      # the table of what is there

Each run is one line of the file; runs whose line is there are not made again. Runs come in a
shuffled order, so that a part of them is a fair sample.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import random
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

import wopt
from wopt.certify.challenge import Options, Rows, best_estimate, block_for, challenge
from wopt.certify.challenge.free_step import Effort
from wopt.certify.critic import TOGETHER, CriticOptions, seen_by_fields
from wopt.certify.resolution import resolutions
from wopt.data.transform import AffineTransform
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import derive, generator
from wopt.stein.form import SteinForm
from wopt.testing.laws import Law, laws

TUNED_ON = {"ring-2", "rose-2", "roses-10", "mixture-20"} | {
    f"{kind}-5" for kind in ("banana", "funnel", "shell", "parity", "student")
}
"""Laws that were looked at while the challengers were written."""

BLOCKS = {
    "ode": {"name": "ode", "width": 48},
    "autoregressive": {"name": "autoregressive", "transforms": 2},
    "coupling": {"name": "coupling"},
    "affine": {"name": "affine"},
}
TRAINING = {"poor": 50, "good": 200}
STEPS = (1, 2, 3)
ROWS = {"fit": 5000, "hold": 2000, "judge": 10_000, "truth": 20_000}


def plan(seed: int) -> list[tuple[str, str, str, int, int]]:
    """Return all runs (law, block, training, steps, seed) in a shuffled order."""
    names = [name for name in laws() if name not in TUNED_ON]
    found = [(*run, seed) for run in itertools.product(names, BLOCKS, TRAINING, STEPS)]
    random.Random(seed).shuffle(found)
    return found


def make(
    law: Law, block: str, training: str, steps: int, seed: int, budget: float
) -> dict[str, Any]:
    """Train, challenge, and compare with the truth."""
    place = derive(seed, law.name, block, training, steps)
    draw = generator(place, "rows")
    drawn = {name: law.sample(n, draw) for name, n in ROWS.items()}
    transform = AffineTransform.fit(drawn["fit"], "whiten")
    start = {k: Particles.start(transform.forward(x).float()) for k, x in drawn.items()}
    begun = time.process_time()
    found = wopt.solve(
        start["fit"],
        valid=start["hold"],
        block=BLOCKS[block],
        scheme={"name": "jko", "step_size": 1.0},
        solver=wopt.InnerSolver(iterations=TRAINING[training], batch_size=500),
        stop=wopt.Stop(steps=steps),
        transform=transform,
        seed=place,
    )
    trained = time.process_time() - begun
    moved = dict(start)
    for made in found.flow.blocks:
        moved = {k: push(made, p, audit=True) for k, p in moved.items()}
    objective = found.problem.objective
    target = objective.target
    rows = {k: Rows.of(target, start[k].points, moved[k]) for k in drawn}
    log_p = law.log_prob(drawn["truth"]) - transform.log_det
    gap = log_p - rows["truth"].views["data"].log_model
    begun = time.process_time()
    options = Options(block_for(), budget=budget, seed=place, effort=Effort(iterations=100))
    side = challenge(target, rows["fit"], rows["hold"], rows["judge"], options)
    challenged = time.process_time() - begun
    begun = time.process_time()
    form = SteinForm.of(objective, moved["judge"])
    net = wopt.build("block", {"name": "ode", "width": 64, "time": False, "sharpness": 3.0})
    critic = CriticOptions(net, learning_rate=1e-2, seed=place, seconds=2.0)
    seen = seen_by_fields(form, critic)
    criticised = time.process_time() - begun
    begun = time.process_time()
    blurred = resolutions(moved["judge"].points, target, seed=place) or []
    estimate = best_estimate(side)
    return {
        "law": law.name,
        "block": block,
        "training": training,
        "steps": len(found.history),
        "asked": steps,
        "seed": seed,
        "status": found.status,
        "true": float(gap.mean()),
        "true_error": float(gap.std()) / len(gap) ** 0.5,
        "low": side.low,
        "value": side.value,
        "error": side.error,
        "estimate": estimate.value,
        "by": side.by,
        "ladder": [dataclasses.astuple(rung) for rung in side.ladder],
        # Log-Sobolev with lambda = 1: KL <= |xi|^2/2, for the true xi.
        "upper": seen[TOGETHER].high ** 2 / 2,
        "seen": {k: v.value for k, v in seen.items()},
        "resolution": [entry.to_dict() for entry in blurred],
        "seconds": {
            "train": trained,
            "challenge": challenged,
            "critic": criticised,
            "resolution": time.process_time() - begun,
        },
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Return what the runs say, as Markdown."""
    lines = ["| law | runs | true KL | limit/true | value/true | limit > true | upper < true |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["law"]].append(run)
    for name, some in [*sorted(groups.items()), ("all", runs)]:
        telling = [r for r in some if r["true"] > 0.02]
        shares = [statistics.median(r[k] / r["true"] for r in telling) if telling else float("nan")
                  for k in ("low", "value")]  # fmt: skip
        over = sum(r["low"] > r["true"] for r in some)
        under = sum(r["upper"] < r["true"] - 2 * r["true_error"] for r in some)
        low, high = min(r["true"] for r in some), max(r["true"] for r in some)
        lines.append(
            f"| {name} | {len(some)} | {low:.3g} to {high:.3g} | {shares[0]:.0%} | {shares[1]:.0%} "
            f"| {over} | {under} |"
        )
    half = [r["low"] >= r["true"] / 2 for r in runs if r["true"] > 0.02]
    seconds = {k: sum(r["seconds"][k] for r in runs) / len(runs) for k in runs[0]["seconds"]}
    lines.append("")
    lines.append(
        f"Of {len(half)} runs with KL > 0.02 the limit is half of it or more in {sum(half)}."
    )
    lines.append("CPU seconds a run: " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()))
    return "\n".join(lines)


def main() -> None:
    """Make runs, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int, default=10, help="runs to make")
    parser.add_argument("--budget", type=float, default=6.0, help="CPU seconds of a challenge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = given.file.read_text() if given.file.exists() else ""
    runs = [json.loads(line) for line in text.splitlines()]
    if given.table:
        print(table(runs))
        return
    key = ("law", "block", "training", "asked", "seed")
    done = {tuple(run[k] for k in key) for run in runs}
    known, left = laws(), [run for run in plan(given.seed) if run not in done]
    for run in left[: given.limit]:
        row = make(known[run[0]], *run[1:], given.budget)
        with given.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({k: row[k] for k in (*key, "true", "low", "value", "upper")}, flush=True)


if __name__ == "__main__":
    main()
