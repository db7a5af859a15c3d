"""Without options: what the planner reaches, against zuko's flows at equal CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/planner.py [NAME ...] --budget 60 --seeds 0 1

wopt is given rows and a budget and nothing else. Its rivals have the settings that were tuned on
the data set, or on the one of the four tuned that is most like it, and keep what was best on the
held-out rows at forty checks. They train for the CPU seconds that wopt takes, or, with ``--whole``,
for the whole budget, also where the planner leaves some of it. Every line of ``planner.jsonl`` (or
``--out``) is one run of one method; what is there already is not measured again, so that the
benchmark can be made in parts. ``--table`` only prints what is
there.

With ``--rivals NSF MAF CNF`` zuko's CNF is a rival too. It trains with an unbiased estimate of the
trace (the exact one in the plane) at a tolerance of 1e-4, and is scored by the exact trace at 1e-5.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # what the first optimiser of a process imports, in a second or two
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "likelihood")]

from bench import keep_memory, one_thread  # noqa: E402
from planes import PLANES  # noqa: E402
from planner_table import summary  # noqa: E402
from rivals import Rival, Training, score  # noqa: E402
from settings import RIVALS  # noqa: E402
from unseen import UNSEEN  # noqa: E402

from wopt.component import build  # noqa: E402
from wopt.data.dataset import Dataset  # noqa: E402
from wopt.errors import Converged, DivergenceError  # noqa: E402
from wopt.interfaces.block import FlowBlock  # noqa: E402
from wopt.runs import building  # noqa: E402
from wopt.runs.memory import Rows  # noqa: E402
from wopt.seeds import derive  # noqa: E402
from wopt.train.steps import iterate  # noqa: E402

DATA = Path(os.environ.get("WOPT_DATA", "../shared/data"))
TURNS = 40

FEW, WIDE = 150, 32
"""Test rows of a CNF in more columns than so many: its exact trace is dear."""

Row = dict[str, Any]


def mixed_marginals(n: int, seed: int) -> Tensor:
    """Return rows of nine columns: log-normal, bimodal, curved, heavy-tailed, bounded, products."""
    r = np.random.default_rng(seed)
    z, x = r.normal(size=(n, 9)), np.empty((n, 9))
    x[:, 0] = np.exp(0.8 * z[:, 0])
    x[:, 1] = np.where(r.random(n) < 0.4, -2 + 0.4 * z[:, 1], 1 + 0.8 * z[:, 1])
    x[:, 1] += 0.3 * np.log(x[:, 0])
    x[:, 2] = np.sin(2 * x[:, 1]) + 0.3 * z[:, 2]
    x[:, 3] = r.standard_t(3, n) * np.exp(0.3 * x[:, 2])
    x[:, 4] = 0.5 * x[:, 0] * x[:, 1] + 0.5 * z[:, 4]
    x[:, 5] = r.beta(0.5, 0.7, n) + 0.05 * z[:, 5]
    x[:, 6] = x[:, 5] ** 2 * x[:, 2] + 0.1 * z[:, 6]
    x[:, 7] = np.abs(z[:, 7] + 0.2 * x[:, 3])
    x[:, 8] = 0.4 * (z[:, 7] + z[:, 8]) + np.tanh(x[:, 4])
    return torch.from_numpy(x)


def clusters(n: int, seed: int) -> Tensor:
    """Return rows of nine columns: seven clusters on sheets, and functions of their columns."""
    r = np.random.default_rng(seed)
    k, z = r.integers(0, 7, n), r.normal(size=(n, 9))
    means, turns = 2 * r.normal(size=(7, 6)), r.normal(size=(7, 6, 3))
    x = means[k] + np.einsum("nij,nj->ni", turns[k], z[:, :3]) + 0.2 * z[:, 3:9]
    last = np.stack([x[:, 0] ** 2 / 4, np.exp(x[:, 1] / 3), np.arctan(x[:, 2] * x[:, 3])], 1)
    return torch.from_numpy(np.concatenate([x, last + 0.1 * r.normal(size=(n, 3))], 1))


def logistic(name: str) -> Callable[[], Tensor]:
    """Return a function that loads the features of a logistic-regression table."""

    def load() -> Tensor:
        from scipy.io import loadmat

        found = loadmat(DATA / "logistic" / f"{name}.mat")
        x = np.asarray(found["data"] if "data" in found else found["X"], dtype=np.float64)
        return torch.from_numpy(x.T if x.shape[0] < x.shape[1] else x)

    return load


def cells(name: str) -> Callable[[], Tensor]:
    """Return a function that loads the coordinates of cells, of all days."""

    def load() -> Tensor:
        rows = np.loadtxt(DATA / "cells" / name, delimiter=",", skiprows=1)
        return torch.from_numpy(rows[:, 1:])

    return load


def tree() -> Tensor:
    """Return points of a drawing that no setting was chosen on."""
    table = {"name": "picture", "path": DATA / "pictures/tree.png", "n_train": 100_000}
    return build("source", table).load(0).train


def bundled(name: str) -> Callable[[], Tensor]:
    """Return a function that loads the features of a set that comes with scikit-learn."""

    def load() -> Tensor:
        import sklearn.datasets

        x = torch.tensor(getattr(sklearn.datasets, f"load_{name}")().data, dtype=torch.float64)
        return x[:, x.std(0) > 0]

    return load


TUNED: dict[str, dict[str, Any]] = {
    "rose": {
        "name": "picture", "path": DATA / "pictures/rose.png", "n_train": 100_000,
        "preprocess": "whiten",
    },
    "magic": {"name": "array", "path": DATA / "tabular/magic.npz", "key": "X"},
    "patches": {"name": "patches", "path": DATA / "tabular/natural_patches8x8.npz", "key": "X"},
    "miniboone": {"name": "array", "path": DATA / "tabular/miniboone_head.npy"},
    "moons": {"name": "toy", "shape": "moons"},
    "checkerboard": {"name": "toy", "shape": "checkerboard"},
}  # fmt: skip
"""On which rules were chosen, or the settings that they began from."""

CHECKED: dict[str, tuple[Callable[[], Tensor], float]] = {
    "mixed (synthetic)": (lambda: mixed_marginals(40_000, 1), 0.0),
    "clusters (synthetic)": (lambda: clusters(40_000, 2), 0.0),
    "banana": (logistic("banana"), 0.0),
    "ringnorm": (logistic("ringnorm"), 0.0),
    "twonorm": (logistic("twonorm"), 0.0),
    "waveform": (logistic("waveform"), 0.01),
    "covertype": (logistic("covertype_5000"), 1.0),
    "covertype, as it is": (logistic("covertype_5000"), 0.0),
    "german": (logistic("german"), 0.0),
    "splice": (logistic("splice"), 1.0),
    "digits": (bundled("digits"), 1.0),
    "breast cancer": (bundled("breast_cancer"), 0.0),
    "wine": (bundled("wine"), 0.0),
    "iris": (bundled("iris"), 0.1),
    "diabetes": (bundled("diabetes"), 0.0),
    "linnerud": (bundled("linnerud"), 1.0),
    "emt": (cells("emt.csv"), 0.0),
    "mouse": (cells("mouse_hematopoiesis.csv"), 0.0),
    "tree": (tree, 0.0),
    **{name: (lambda law=law: law(np.random.default_rng(3)), 0.0) for name, law in PLANES.items()},
    **{
        name: (lambda law=law: law(np.random.default_rng(4)), width)
        for name, (law, width) in UNSEEN.items()
    },
}
"""For checking only: features, and the width of the noise that gives rounded ones a density."""


def load(name: str, seed: int) -> tuple[Any, Dataset]:
    """Return a data set's source, as ``wopt.fit`` or ``wopt run`` is given it, and its splits.

    The splits have the preprocessing of the source, which the rivals are given: whitening, unless
    the planner, who may choose another for wopt, is told otherwise.
    """
    if name in TUNED:
        source: Any = TUNED[name]
        return source, build("source", source).load(derive(seed, "source"))
    make, width = CHECKED[name]
    source = Rows(make(), preprocess="auto", dequantise=width)
    return source, source.load(derive(seed, "source"))


def rivals_of(name: str, dataset: Dataset) -> dict[str, Rival]:
    """Return the rivals with the settings tuned on the set, or on the one most like it."""
    if name in RIVALS:
        return RIVALS[name]
    if dataset.dim <= 2:
        like = "rose"
    elif len(dataset.train) < 5000:
        like = "miniboone"
    else:
        like = "magic" if dataset.dim <= 32 else "patches"
    return RIVALS[like]


def measure_one(
    name: str, seed: int, budget: float, methods: Sequence[str], whole: bool
) -> list[Row]:
    """Return the rows of one data set, seed and budget: wopt's first."""
    source, dataset = load(name, seed)
    began = time.process_time()
    prepared = building.build({"source": source, "seed": seed, "plan": {"budget": budget}})
    assert prepared.config.plan is not None
    told_plan = prepared.config.plan.summary
    print(f"{name}, seed {seed}: {told_plan}", flush=True)
    rivals = {
        method: Training(rival, placed(dataset, dataset.train), placed(dataset, dataset.valid),
                         seed=seed)
        for method, rival in rivals_of(name, dataset).items()
        if method in methods
    }  # fmt: skip
    begun = prepared.problem.begin(prepared.train, prepared.valid)
    blocks: list[FlowBlock] = []
    reason, made = "", 0
    try:
        for state, record in iterate(prepared.problem, begun):
            assert state.block is not None
            blocks.append(state.block)
            made += record.iterations
    except (Converged, DivergenceError) as error:  # told, and scored as the identity that it leaves
        reason = str(error)
    spent = time.process_time() - began
    for turn in range(TURNS):
        for rival in rivals.values():
            rival.advance((budget if whole else spent) / TURNS, (turn + 1) / TURNS)
    scores = -prepared.flow(blocks).log_prob(dataset.test, audit=True).double()
    rows = [
        row(name, seed, budget, "wopt", scores, spent, made)
        | {"reason": reason, "plan": told_plan, "blocks": len(blocks)}
    ]  # fmt: skip
    for method, rival in rivals.items():
        flow = rival.finish()
        few = FEW if method == "CNF" and dataset.dim > WIDE else None
        theirs = nll(flow, dataset, dataset.test[:few])
        rows.append(row(name, seed, budget, method, theirs, rival.seconds, rival.iterations))
        rows[-1] |= paired(theirs, scores[:few])
    rows[0]["gaussian"] = gaussian(dataset)
    return rows


def row(
    name: str, seed: int, budget: float, method: str, scores: Tensor, seconds: float, made: int
) -> Row:
    """Return what is kept of a method's run."""
    return {
        "data": name, "seed": seed, "budget": budget, "method": method,
        "nll": float(scores.mean()), "seconds": round(seconds, 1), "iterations": made,
        "test": len(scores),
    }  # fmt: skip


def paired(theirs: Tensor, ours: Tensor) -> Row:
    """Return how far a rival's mean NLL is above wopt's, with its standard error over test rows."""
    gap = theirs - ours
    return {"above": float(gap.mean()), "above_error": float(gap.std() / len(gap) ** 0.5)}


def placed(dataset: Dataset, x: Tensor) -> Tensor:
    """Return rows in the flows' coordinates."""
    return dataset.transform.move(x).float()


def nll(flow: nn.Module, dataset: Dataset, x: Tensor) -> Tensor:
    """Return a rival's NLL of rows, in the data's units."""
    z, log_det = dataset.transform(x)
    return -score(flow, z.float(), audit=True).double() - log_det


def gaussian(dataset: Dataset) -> float:
    """Return the test NLL of the Gaussian with the training rows' moments."""
    from wopt.runs.evaluate import gaussian_nll

    found = gaussian_nll(dataset.train, dataset.test)
    return math.nan if found is None else found


def main() -> None:
    """Measure what is asked for and not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument(
        "--rivals", nargs="*", default=["NSF", "MAF"], help="which: NSF, MAF, CNF (slow)"
    )
    parser.add_argument(
        "--whole", action="store_true", help="rivals get the whole budget, also where wopt does not"
    )
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--out", type=Path, default=HERE / "planner.jsonl")
    asked = parser.parse_args()
    one_thread()
    keep_memory()
    lines = asked.out.read_text().splitlines() if asked.out.exists() else []
    rows = [json.loads(line) for line in lines]
    names = [] if asked.table else asked.names or [*TUNED, *CHECKED]
    for seed in asked.seeds:
        for name in names:
            key = (name, seed, asked.budget)
            if any((r["data"], r["seed"], r["budget"]) == key for r in rows):
                continue
            new = measure_one(name, seed, asked.budget, asked.rivals, asked.whole)
            with asked.out.open("a") as file:
                file.writelines(json.dumps(r) + "\n" for r in new)
            rows += new
            for r in new:
                print({k: v for k, v in r.items() if k != "plan"}, flush=True)
    print(summary(rows))


if __name__ == "__main__":
    main()
