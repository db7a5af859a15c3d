"""Certificates against laws of known density: what is true, found from below, and said above.

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
from pathlib import Path
from typing import Any

import torch

import wopt
from wopt.data.transform import AffineTransform
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import derive, generator
from wopt.stein import SteinForm
from wopt.store.result import GapKind
from wopt_certify.analysis import refute
from wopt_certify.bounds import Entry, Label, StepBounds
from wopt_certify.challenge import ChallengeRows, EscalationOptions, block_for, challenge
from wopt_certify.challenge.free_step import TrainingEffort
from wopt_certify.critic import TOGETHER, CriticOptions, seen_by_fields
from wopt_certify.gap import Gap, floors_of
from wopt_measures.laws import known as of
from wopt_measures.laws.bent import BananaLaw, FunnelLaw
from wopt_measures.laws.law import Law
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
ROWS = {"fit": 5000, "hold": 2000, "judge": 10_000, "truth": 8000, "critic": 5000}
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
    objective = found.problem.objective
    target = objective.target
    rows = {k: ChallengeRows.of(target, start[k].points, moved[k]) for k in drawn}
    log_p = law.log_prob(drawn["truth"]) - transform(drawn["truth"])[1]
    gap = log_p - rows["truth"].views["data"].log_model
    begun = time.process_time()
    options = EscalationOptions(
        block_for(), budget=budget, seed=place, effort=TrainingEffort(iterations=100)
    )
    side = challenge(target, rows["fit"], rows["hold"], rows["judge"], options)
    challenged = time.process_time() - begun
    begun = time.process_time()
    form = SteinForm.of(objective, moved["judge"]).rows(slice(ROWS["critic"]))
    net = wopt.build("block", {"name": "ode", "width": 64, "time": False, "sharpness": 3.0})
    critic = CriticOptions(net, 150, learning_rate=1e-2, seed=place, seconds=1.0)
    seen = seen_by_fields(form, critic)
    criticised = time.process_time() - begun
    # Log-Sobolev with lambda = 1: KL <= |xi|^2/2, for the true xi.
    upper = seen[TOGETHER].high ** 2 / 2
    bounds = [StepBounds({"log_sobolev": Entry(upper, Label.GIVEN_SEEN)})]
    (judged,) = refute(bounds, [floors_of(side, None)], 1.0)
    headline = Gap.between(GapKind.KL_DATA_MODEL, judged.gap, lower=side)
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
        "estimate": headline.estimate,
        "by": side.by,
        "ladder": [dataclasses.astuple(rung) for rung in side.escalation],
        "upper": upper,
        "printed": headline.upper,
        "refuted_by": [str(one.by) for one in headline.refuted],
        "seen": {k: v.value for k, v in seen.items()},
        "seconds": {
            "train": trained,
            "challenge": challenged,
            "critic": criticised,
        },
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Return what the runs say, as Markdown."""
    lines = [
        "| law | runs | true KL | limit/true | estimate/true | limit > true | upper side < true "
        "| no upper side |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["law"]].append(run)
    for name, some in [*sorted(groups.items()), ("all", runs)]:
        clear = [r for r in some if r["true"] > 0.02]
        shares = [f"{statistics.median(r[k] / r['true'] for r in clear):.0%}" if clear else "-"
                  for k in ("low", "estimate")]  # fmt: skip
        over = sum(r["low"] > r["true"] + 2 * r["true_error"] for r in some)
        under = sum(is_false(r["printed"], r) for r in some)
        none = sum(r["printed"] is None for r in some)
        low, high = min(r["true"] for r in some), max(r["true"] for r in some)
        lines.append(
            f"| {name} | {len(some)} | {low:.3g} to {high:.3g} | {shares[0]} | {shares[1]} "
            f"| {over} | {under} | {none} |"
        )
    return "\n".join([*lines, "", *summary(runs)])


def is_false(upper: float | None, run: dict[str, Any]) -> bool:
    """Whether a bound from above lies below the truth, by more than two standard errors of it."""
    return upper is not None and upper < run["true"] - 2 * run["true_error"]


def summary(runs: list[dict[str, Any]]) -> list[str]:
    """Return what all runs say together."""
    clear = [r for r in runs if r["true"] > 0.02]
    half = sum(r["low"] >= r["true"] / 2 for r in clear)
    near = sum(abs(r["estimate"] / r["true"] - 1) <= 0.25 for r in clear)
    raw = sum(is_false(r["upper"], r) for r in runs)
    by_estimate = sum(r["printed"] is None and r["upper"] >= r["low"] for r in runs)
    seconds = {k: sum(r["seconds"][k] for r in runs) / len(runs) for k in runs[0]["seconds"]}
    return [
        f"Of {len(clear)} runs with KL > 0.02 the limit is half of it or more in {half}, and the "
        f"estimate within a quarter of it in {near}.",
        f"Before facts and the estimate are set against it, the upper side is below the truth in "
        f"{raw} of {len(runs)} runs; the estimate alone refutes it in {by_estimate}.",
        "CPU seconds a run: " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()),
    ]


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
        print({k: row[k] for k in (*key, "true", "low", "value", "upper")}, flush=True)


if __name__ == "__main__":
    main()
