"""Lower sides against laws of known density: what is true, and what is found from below.

    python benchmarks/certificates.py runs.jsonl --limit 20   # makes runs; call it again
    python benchmarks/certificates.py runs.jsonl --table      # the table of what is there

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
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch

import wopt
from wopt import Law
from wopt.data.transform import AffineTransform
from wopt.interfaces import Budget
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import derive, generator
from wopt_certify.challenge import ChallengeRows, challenge, challengers_for
from wopt_measures.laws import known as of
from wopt_measures.laws.bent import BananaLaw, FunnelLaw
from wopt_measures.laws.spheres import ShellLaw, StudentLaw

TUNED_ON = {"ring-2", "rose-2", "roses-10", "mixture-20"} | {
    f"{kind}-5" for kind in ("banana", "funnel", "shell", "parity", "student")
}
"""Laws that were looked at while the challengers were written: they come with other parameters."""


def others() -> dict[str, Law]:
    """Return laws of the kinds that were looked at, with parameters that were not."""
    return {
        "ring-2*": of.ring(12, 2.0, 0.2),
        "rose-2*": of.rose(scale=0.07),
        "roses-10*": of.ProductLaw(of.rose(scale=0.07), 5),
        "mixture-20*": of.mixture(20, k=4, seed=3),
        "banana-5*": BananaLaw(5, bend=0.6),
        "funnel-5*": FunnelLaw(5, scale=1.2),
        "shell-5*": ShellLaw(5, 2.5, 0.4),
        "parity-5*": of.ParityLaw(5, 0.5),
        "student-5*": StudentLaw(5, 8),
    }


def tried() -> dict[str, Law]:
    """Return the laws of the table, those of other parameters with a star."""
    return {k: law for k, law in of.known_laws().items() if k not in TUNED_ON} | others()


BLOCKS = {
    "ode": {"name": "ode", "width": 48},
    "autoregressive": {"name": "autoregressive", "transforms": 2},
    "coupling": {"name": "coupling"},
    "affine": {"name": "affine"},
}
TRAINING = {"poor": 50, "good": 200}
STEPS = (1, 2, 3)
ROWS = {"fit": 5000, "hold": 2000, "judge": 10_000, "truth": 8000}
SAMPLES = ("fit", "hold", "judge", "truth")


def plan(seed: int) -> list[tuple[str, str, str, int, int]]:
    """Return all runs (law, block, training, steps, seed) in a shuffled order."""
    runs = [(*run, seed) for run in itertools.product(tried(), BLOCKS, TRAINING, STEPS)]
    random.Random(seed).shuffle(runs)
    return runs


def make(
    name: str, block: str, training: str, steps: int, seed: int, budget: float
) -> dict[str, Any]:
    """Train, challenge, and compare with the truth."""
    law = tried()[name]
    place = derive(seed, name, block, training, steps)
    rng = generator(place, "rows")
    drawn = {k: law.sample(ROWS[k], law.dim, rng) for k in SAMPLES}
    transform = AffineTransform.fit(drawn["fit"], "whiten")
    start = {k: Particles.start(transform.move(x).float()) for k, x in drawn.items()}
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
    target = found.problem.objective.target
    rows = {k: ChallengeRows.of(target, start[k].points, moved[k]) for k in drawn}
    log_p = law.log_prob(drawn["truth"]) - transform(drawn["truth"])[1]
    gap = log_p - rows["truth"].log_model["data"]
    begun = time.process_time()
    three = (rows[k] for k in ("fit", "hold", "judge"))
    side = challenge(*three, challengers_for(target), budget=Budget(budget), seed=place)
    challenged = time.process_time() - begun
    return {
        "law": name,
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
        "by": side.by,
        "ladder": [dataclasses.astuple(rung) for rung in side.escalation],
        "seconds": {"train": trained, "challenge": challenged},
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Return what the runs say, as Markdown."""
    lines = [
        "| law | runs | true KL | limit/true | found/true | found in 0.3 s/true | limit > true |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["law"]].append(run)
    for name, some in [*sorted(groups.items()), ("all", runs)]:
        clear = [r for r in some if r["true"] > 0.02]
        shares = [f"{statistics.median(of(r) / r['true'] for r in clear):.0%}" if clear else "-"
                  for of in (itemgetter("low"), itemgetter("value"), early)]  # fmt: skip
        over = sum(r["low"] > r["true"] + 2 * r["true_error"] for r in some)
        low, high = min(r["true"] for r in some), max(r["true"] for r in some)
        cells = (name, len(some), f"{low:.3g} to {high:.3g}", *shares, over)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", summary(runs)])


def early(run: dict[str, Any], seconds: float = 0.3) -> float:
    """Return what was found within some CPU seconds, or by the first challenger."""
    gains = [gain for _, spent, gain, _ in run["ladder"] if spent <= seconds]
    return gains[-1] if gains else run["ladder"][0][2]


def summary(runs: list[dict[str, Any]]) -> str:
    """Return what all runs say together."""
    clear = [r for r in runs if r["true"] > 0.02]
    half = sum(r["low"] >= r["true"] / 2 for r in clear)
    seconds = {k: sum(r["seconds"][k] for r in runs) / len(runs) for k in ("train", "challenge")}
    return (
        f"Of {len(clear)} runs with KL > 0.02 the limit is half of it or more in {half}. "
        "CPU seconds a run: " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()) + "."
    )


def main() -> None:
    """Make runs, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int, default=10, help="runs to make")
    parser.add_argument("--budget", type=float, default=3.0, help="CPU seconds of a challenge")
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
    left = [run for run in plan(given.seed) if run not in done]
    for run in left[: given.limit]:
        row = make(*run, given.budget)
        with given.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({k: row[k] for k in (*key, "true", "low", "value")}, flush=True)


if __name__ == "__main__":
    main()
