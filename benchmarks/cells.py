"""Cells in time: a population that was left out, guessed from the ones before and after it.

    OMP_NUM_THREADS=1 python benchmarks/cells.py [NAME ...] --seeds 0 1 2 3 4 [--flows FLOW ...]

Cells are measured on days 0, 1, 2, ..., each once. A flow is trained from day k - 1 to day k + 1
and never sees day k, which is guessed where cells are half of their way: by transported length
(``Flow.between``), or after half of the blocks. The rival is exact displacement interpolation: the
middle of the straight lines between the partners of an optimal plan (POT); beside it that of an
unbalanced plan, by which cells may multiply or die (entropy 0.1, KL penalty 2 on both marginals, in
squared distances of columns with deviation one). Measured are the exact Wasserstein distances W_1
and W_2 of a guess to the cells of day k, both of 500 cells (embryoid bodies: 2,000); a seed is
another choice of cells and another training. Every line of ``cells.jsonl`` (or ``--out``) is one
guess; what is there already is not measured again. ``--table`` only prints what is there. Data:
../shared/data, or WOPT_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from bench import one_thread, table  # noqa: E402

import wopt  # noqa: E402

DATA = Path(os.environ.get("WOPT_DATA", "../shared/data"))
CELLS = {"eb": 2000}
"""Of a day; 500 where nothing is said."""

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of the way; a half is the guess, the others tell where the left-out day would be."""

Row = dict[str, Any]

LEFT_OUT = {
    "emt, day 1": ("emt", (0, 1, 2)),
    "emt, day 2": ("emt", (1, 2, 3)),
    "mouse_hematopoiesis, day 1": ("mouse_hematopoiesis", (0, 1, 2)),
    "embryoid bodies, time 1": ("eb", (0, 1, 2)),
    "embryoid bodies, time 2": ("eb", (1, 2, 3)),
    "embryoid bodies, time 3": ("eb", (2, 3, 4)),
}

FLOWS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "sinkhorn, 4 steps": (
        {"name": "sinkhorn", "epsilon": 0.1, "tolerance": 1e-2, "samples": 200},
        [0.15, 0.25, 0.5, 2.0],
    ),
    "sinkhorn, 8 steps": (
        {"name": "sinkhorn", "epsilon": 0.1, "tolerance": 1e-2, "samples": 200},
        [0.1, 0.1, 0.15, 0.15, 0.25, 0.25, 0.5, 2.0],
    ),
    "energy_distance, 4 steps": ({"name": "energy_distance"}, [0.25, 0.5, 1.0, 4.0]),
}
"""Objective and step sizes, for cells whose columns have a mean deviation of one."""


def table_of(file: str) -> np.ndarray:
    """Return a day and a cell a row."""
    folder = DATA / "cells" / file
    if folder.is_dir():
        parts = [np.load(folder / f"{name}.npy") for name in ("sample_labels", "data")]
        return np.column_stack(parts).astype(float)
    return np.loadtxt(f"{folder}.csv", delimiter=",", skiprows=1)


def populations(name: str, seed: int) -> list[np.ndarray]:
    """Return cells, chosen at random, of the day before, of the left-out one, of the next."""
    file, days = LEFT_OUT[name]
    rows, draw = table_of(file), np.random.default_rng(seed)
    of_day = [rows[rows[:, 0] == day, 1:] for day in days]
    count = CELLS.get(file, 500)
    return [cells[draw.choice(len(cells), count, replace=False)] for cells in of_day]


def distance(a: np.ndarray, b: np.ndarray, metric: str = "euclidean") -> float:
    """Return the exact W_1 between two populations, or their W_2^2 (``sqeuclidean``)."""
    import ot

    return float(ot.emd2([], [], ot.dist(a, b, metric), numItermax=10**7))


def distances(guess: np.ndarray, cells: np.ndarray) -> Row:
    """Return W_1 and W_2 of a guess."""
    return {"w1": distance(guess, cells), "w2": distance(guess, cells, "sqeuclidean") ** 0.5}


def straight(before: np.ndarray, after: np.ndarray, fraction: float) -> np.ndarray:
    """Return exact displacement interpolation between as many cells: a plan is a permutation."""
    import ot

    cells, partners = np.nonzero(ot.emd([], [], ot.dist(before, after), numItermax=10**6))
    return (1 - fraction) * before[cells] + fraction * after[partners]


def unbalanced(before: np.ndarray, after: np.ndarray, unit: float, seed: int) -> np.ndarray:
    """Return the middles of pairs that are drawn by the mass of an unbalanced plan."""
    import ot

    uniform = np.full(len(before), 1 / len(before))
    cost = ot.dist(before / unit, after / unit)
    plan = ot.unbalanced.sinkhorn_unbalanced(uniform, uniform, cost, 0.1, 2.0, numItermax=2000)
    draw, mass = np.random.default_rng(seed), plan.ravel() / plan.sum()
    cells, partners = np.unravel_index(draw.choice(mass.size, len(before), p=mass), plan.shape)
    return (before[cells] + after[partners]) / 2


def trained(name: str, before: np.ndarray, after: np.ndarray, seed: int) -> wopt.Flow:
    """Return the flow of one population to the other."""
    objective, sizes = FLOWS[name]
    part = len(before) // 5
    start, held_out = torch.from_numpy(before).split([4 * part, part])
    return wopt.solve(
        wopt.Particles.start(start),
        valid=wopt.Particles.start(held_out),
        objective={**objective, "target": {"name": "samples", "points": after.tolist()}},
        scheme={"name": "jko", "step_size": sizes},
        block={"name": "ode", "width": 32, "steps": 2},
        solver={"iterations": 60, "learning_rate": 1e-2, "batch_size": 200},
        stop={"steps": len(sizes)},
        dtype="float64",
        seed=seed,
    ).flow


def rivals(before: np.ndarray, between: np.ndarray, after: np.ndarray, seed: int) -> Iterator[Row]:
    """Yield guesses without a flow, with their distances and, of straight lines, by share."""
    unit = float(np.concatenate([before, after]).std(0).mean())
    yield {"guess": "the day before"} | distances(before, between)
    yield {"guess": "the day after"} | distances(after, between)
    shares = [distance(straight(before, after, fraction), between) for fraction in SHARES]
    found = distances(straight(before, after, 0.5), between)
    yield {"guess": "displacement interpolation"} | found | {"shares": shares}
    middle = unbalanced(before, after, unit, seed)
    yield {"guess": "middle of an unbalanced plan"} | distances(middle, between)


def guesses(
    name: str, before: np.ndarray, between: np.ndarray, after: np.ndarray, seed: int
) -> Iterator[Row]:
    """Yield the guesses of a flow, with their distances and by share."""
    unit = float(np.concatenate([before, after]).std(0).mean())
    began = time.process_time()
    flow = trained(name, before / unit, after / unit, seed)
    seconds = round(time.process_time() - began, 1)
    x = torch.from_numpy(before / unit)
    path = flow.trajectory(x)
    at = {share: unit * flow.between(x, share).numpy() for share in SHARES}
    shares = [distance(cells, between) for cells in at.values()]
    about = {"flow": name, "seconds": seconds}
    at_end = distance(unit * path[-1].numpy(), after)
    by_length = {"guess": f"{name}, by length"} | distances(at[0.5], between)
    yield about | by_length | {"shares": shares, "end_to_after": at_end}
    by_block = unit * path[len(path) // 2].numpy()
    yield about | {"guess": f"{name}, by block"} | distances(by_block, between)


def measured(name: str, seed: int, flows: Sequence[str]) -> Iterator[Row]:
    """Yield the guesses of a left-out population."""
    days = populations(name, seed)
    found = [rivals(*days, seed), *(guesses(flow, *days, seed) for flow in flows)]
    yield from ({"data": name, "seed": seed} | row for rows in found for row in rows)


def gaps(rows: Sequence[Row], guess: str) -> list[float]:
    """Return how far a guess is above displacement interpolation, by seed."""
    base = {r["seed"]: r["w1"] for r in rows if r["guess"] == "displacement interpolation"}
    return [r["w1"] - base[r["seed"]] for r in rows if r["guess"] == guess and r["seed"] in base]


def summary(rows: Sequence[Row]) -> str:
    """Return the table: W_1, mean and deviation over seeds, and paired differences."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["data"]].append(row)
    lines = []
    for name, group in groups.items():
        for guess in dict.fromkeys(row["guess"] for row in group):
            some = [row for row in group if row["guess"] == guess]
            found, away = [row["w1"] for row in some], gaps(group, guess)
            squared = [row["w2"] for row in some if "w2" in row]
            best = [SHARES[int(np.argmin(row["shares"]))] for row in some if "shares" in row]
            seconds = [row["seconds"] for row in some if "seconds" in row]
            lines.append((
                name, guess, len(found), spread(found), spread(away, "+.3f", error=True),
                spread(squared),
                f"{statistics.median(best):g}" if best else "",
                f"{statistics.mean(seconds):.0f}" if seconds else "",
            ))  # fmt: skip
    head = ("left out", "guess", "seeds", "W_1", "above displacement", "W_2", "best share", "CPU s")
    return table(head, lines)


def spread(values: Sequence[float], form: str = ".3f", *, error: bool = False) -> str:
    """Return mean and standard deviation, or the standard error of the mean."""
    if len(values) < 2:
        return f"{values[0]:{form}}" if values else ""
    deviation = statistics.stdev(values) / (len(values) ** 0.5 if error else 1)
    return f"{statistics.mean(values):{form}} +- {deviation:.3f}"


def main() -> None:
    """Measure what is asked for and not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--flows", nargs="*", default=list(FLOWS), metavar="FLOW")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--out", type=Path, default=HERE / "cells.jsonl")
    asked = parser.parse_args()
    one_thread()
    lines = asked.out.read_text().splitlines() if asked.out.exists() else []
    rows = [json.loads(line) for line in lines]
    for seed in [] if asked.table else asked.seeds:
        for name in asked.names or LEFT_OUT:
            if any((row["data"], row["seed"]) == (name, seed) for row in rows):
                continue
            new = list(measured(name, seed, asked.flows))
            with asked.out.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
            rows += new
            print(name, seed, {row["guess"]: round(row["w1"], 3) for row in new}, flush=True)
    print(summary(rows))


if __name__ == "__main__":
    main()
