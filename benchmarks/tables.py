"""wopt without options against NSF, MAF, a Gaussian and a mixture, on any list of tables.

    OMP_NUM_THREADS=1 python benchmarks/tables.py --list benchmarks/tables.txt --budget 20 60

A line of a list is ``NAME law LAW ROWS``, ``NAME sklearn LOADER`` or ``NAME file PATH [KEY]``, with
a PATH to csv, dat, npy, npz, mat or a pickled frame, in which variables such as ``$WOPT_DATA`` are
expanded. Numeric columns are used. Values on a grid get noise as wide as its cells, the same for
all methods.

All methods have the same training and held-out rows and the same CPU seconds, and are scored on
the same test rows. zuko's flows have the settings that were tuned on MAGIC, the best of three
rates after trials of a twentieth of the seconds each, which they do not pay for, and the state
that was best on held-out rows. The mixture is scikit-learn's, with as many Gaussians as BIC says.

Half of the tables, by a hash of their names, are *held*: without ``--held`` they are not run, and
nothing of wopt was chosen on them. Scores of every run are kept in ``--scores``, and a run that is
there is not made again. ``--record SET`` appends a line a table to ``tables/measured.jsonl``, of
which the page of likelihoods is made.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "likelihood")]

from rivals import Rival, Training, score  # noqa: E402
from settings import RIVALS  # noqa: E402
from table_laws import LAWS  # noqa: E402

import wopt  # noqa: E402
from wopt.data.dataset import Dataset  # noqa: E402
from wopt.errors import DataError  # noqa: E402
from wopt.runs.memory import Rows  # noqa: E402
from wopt.seeds import derive  # noqa: E402

TURNS, MOST_TEST, JUDGES = 40, 5000, 2000
RATES = (0.3, 1.0, 2.0)
"""Factors on the rates among which rivals choose."""
BOUND = 20.0
"""Nats at which a row's difference is cut, so that no row decides a mean."""
COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def held(name: str) -> bool:
    """Return whether a table is one of those that are looked at only at the end."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a list: rows that methods get, and rows that judge them."""

    name: str
    known: Tensor
    test: Tensor


def read(words: Sequence[str]) -> np.ndarray:
    """Return the rows of a line of a list, shape ``(n, d)``."""
    kind, what, *rest = words
    if kind == "law":
        seed = int(hashlib.sha256(" ".join(words).encode()).hexdigest()[:8], 16)
        return LAWS[what](np.random.default_rng(seed), int(rest[0]))
    if kind == "sklearn":
        import sklearn.datasets

        made = getattr(sklearn.datasets, what)(return_X_y=True)
        return numbers(pd.DataFrame(np.column_stack(made)))
    path = os.path.expandvars(what)
    if path.endswith(".npy"):
        return np.load(path)
    if path.endswith(".npz"):
        return np.load(path)[rest[0]]
    if path.endswith(".mat"):
        from scipy.io import loadmat

        x = loadmat(path)[rest[0]]
        return x.T if x.shape[0] < x.shape[1] else x
    if path.endswith(".compress"):
        return numbers(pd.read_pickle(path, compression="xz"))
    return numbers(
        pd.read_csv(path, header=None if path.endswith(".dat") else "infer", comment="@")
    )


def numbers(frame: pd.DataFrame) -> np.ndarray:
    """Return the columns of numbers that are not row numbers, without incomplete rows."""
    frame = frame.select_dtypes("number")
    frame = frame[[c for c in frame if str(c).lower() not in ("rownames", "id", "x")]]
    return frame.dropna(thresh=len(frame) // 2, axis=1).dropna().to_numpy(dtype=np.float64)


def on_the_line(x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Return rows with noise in the cells of columns on a grid, and without constant columns."""
    x = np.asarray(x, dtype=np.float64)
    x = x[:, x.std(0) > 0].copy()
    for j in range(x.shape[1]):
        values = np.unique(x[:, j])
        if len(values) < len(x) / 2:
            x[:, j] += np.diff(values).min() * r.random(len(x))
    return x


def load(line: str) -> Table:
    """Return the table of a line."""
    name, *words = line.split()
    r = np.random.default_rng(7)
    x = on_the_line(read(words), r)
    x = x[r.permutation(len(x))]
    few = min(MOST_TEST, len(x) // 4)
    known, test = torch.from_numpy(x[few:]), torch.from_numpy(x[:few])
    # What follows from other columns has no density beside them, so that no method is given it.
    kept = [
        int(column.removeprefix("x")) for column in Rows(known, preprocess="none").load(0).names
    ]
    return Table(name, known[:, kept], test[:, kept])


def splits(table: Table, how: str, seed: int) -> Dataset:
    """Return the splits that wopt makes of the known rows."""
    return Rows(table.known, preprocess=how).load(derive(seed, "source"))  # type: ignore[arg-type]


def by_wopt(table: Table, budget: float, seed: int) -> tuple[Tensor, str]:
    """Return the NLL of test rows, shape ``(n,)``, and what was planned."""
    solution = wopt.fit(table.known, budget=budget, seed=seed, listener=False)
    plan = solution.prepared.config.plan
    told = "" if plan is None else plan.summary
    return -solution.flow.log_prob(table.test, audit=True), f"{solution.status}; {told}"


def by_zuko(flow: str) -> Callable[[Table, float, int], tuple[Tensor, str]]:
    """Return the method that trains a flow of zuko."""

    def method(table: Table, budget: float, seed: int) -> tuple[Tensor, str]:
        try:
            data = splits(table, "whiten", seed)
        except DataError:
            data = splits(table, "standardise", seed)
        train, valid = (data.transform.move(x).float() for x in (data.train, data.valid[:JUDGES]))
        least, best = float("inf"), 1.0
        for rate in RATES:
            brief = training(flow, rate, train, valid, seed, budget / 20)
            value = float(-score(brief, valid).mean())
            if value < least:
                least, best = value, rate
        model = training(flow, best, train, valid, seed, budget)
        z, log_det = data.transform(table.test)
        return -score(model, z.float(), audit=True).double() - log_det, f"rate x {best:g}"

    return method


def training(
    flow: str, rate: float, train: Tensor, valid: Tensor, seed: int, seconds: float
) -> torch.nn.Module:
    """Return a flow of zuko after so many CPU seconds, at its best on held-out rows."""
    tuned = RIVALS["magic"][flow]
    rates = {"learning_rate": rate * tuned.learning_rate, "matrix_rate": rate * tuned.matrix_rate}
    rival: Rival = dataclasses.replace(tuned, **rates)
    made = Training(rival, train, valid, seed=seed)
    for turn in range(TURNS):
        made.advance(seconds / TURNS, (turn + 1) / TURNS)
    return made.finish()


def by_gaussian(table: Table, budget: float, seed: int) -> tuple[Tensor, str]:
    """Return the NLL of test rows under the Gaussian of the known rows' moments."""
    return _mixed(table, [1], budget, seed)


def by_mixture(table: Table, budget: float, seed: int) -> tuple[Tensor, str]:
    """Return the NLL of test rows under the mixture of Gaussians that BIC chooses."""
    return _mixed(table, COMPONENTS, budget, seed)


def _mixed(table: Table, components: Sequence[int], budget: float, seed: int) -> tuple[Tensor, str]:
    from sklearn.mixture import GaussianMixture

    data = splits(table, "standardise", seed)
    x = data.transform.move(torch.cat([data.train, data.valid])).numpy()
    began, least, best = time.process_time(), np.inf, None
    for k in components:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = GaussianMixture(k, random_state=seed, reg_covar=1e-6, max_iter=200).fit(x)
        value = model.bic(x)
        if value < least:
            least, best = value, model
        if time.process_time() - began > budget or value > least + abs(least):
            break
    assert best is not None
    z, log_det = data.transform(table.test)
    found = -torch.from_numpy(best.score_samples(z.numpy()))
    return found - log_det, f"{best.n_components} Gaussians"


METHODS: dict[str, Callable[[Table, float, int], tuple[Tensor, str]]] = {
    "wopt": by_wopt,
    "NSF": by_zuko("NSF"),
    "MAF": by_zuko("MAF"),
    "Gaussian": by_gaussian,
    "mixture": by_mixture,
}


def scored(table: Table, method: str, budget: float, seed: int, scores: Path) -> Tensor:
    """Return the NLL of test rows, shape ``(n,)``, from the folder of scores if it is there."""
    seconds = 0 if method == "Gaussian" else budget
    path = scores / f"{table.name}-{method}-{seconds:g}-{seed}.npz"
    if not path.exists():
        began = time.process_time()
        try:
            found, told = METHODS[method](table, budget, seed)
        except Exception as error:  # a method that fails is told, and loses
            found, told = torch.full((len(table.test),), torch.inf), f"failed: {error}"
        spent = time.process_time() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, nll=found.detach().double().numpy(), told=told, seconds=spent)
        print(f"  {method}: {float(found.mean()):.3f} in {spent:.0f} CPU s; {told}", flush=True)
    return torch.from_numpy(np.load(path)["nll"])


def compared(values: dict[str, Tensor]) -> tuple[str, float, float, int]:
    """Return the best rival, how far wopt is above it with error, bounded a row, and far rows."""
    rivals = {k: v.nan_to_num(torch.inf, posinf=1e9) for k, v in values.items() if k != "wopt"}
    ours = values["wopt"].nan_to_num(torch.inf, posinf=1e9)
    gaps = {k: (ours - v).clamp(-BOUND, BOUND) for k, v in rivals.items()}
    best = max(gaps, key=lambda k: float(gaps[k].mean()))
    gap = gaps[best]
    far = int(((ours - rivals[best]) > 100).sum())
    return best, float(gap.mean()), float(gap.std() / len(gap) ** 0.5), far


def record(table: Table, values: dict[str, Tensor], told: dict[str, Any]) -> None:
    """Append a line to what pages show."""
    _, gap, error, _ = compared(values)
    rows, columns = table.known.shape
    nll = {k: round(v.mean().item(), 4) for k, v in values.items()}
    sizes = {"table": table.name, "rows": rows, "columns": columns}
    line = told | sizes | {"nll": nll, "gap": round(gap, 4), "error": round(error, 4)}
    with (HERE / "tables" / "measured.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    """Measure what is asked for and not there yet, and print a line a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, default=HERE / "tables.txt")
    parser.add_argument("--budget", type=float, nargs="+", default=[20.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--held", action="store_true", help="run the held half, not the other")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--scores", type=Path, default=Path("/tmp/wopt-tables"))
    parser.add_argument("--record", metavar="SET", help="heading under which a page shows them")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = [s for s in asked.list.read_text().splitlines() if s and not s.startswith("#")]
    for budget in asked.budget:
        counts, lost = {"win": 0, "tie": 0, "loss": 0}, 0.0
        for line in lines:
            name = line.split()[0]
            if held(name) != asked.held or (asked.only and name not in asked.only):
                continue
            table = load(line)
            print(f"{name}: {tuple(table.known.shape)}", flush=True)
            values = {
                method: scored(table, method, budget, asked.seed, asked.scores)
                for method in asked.methods
            }
            if "wopt" not in values or len(values) < 2:
                continue
            best, gap, error, far = compared(values)
            if asked.record:
                record(table, values, {"set": asked.record, "seconds": budget, "seed": asked.seed})
            word = "tie" if abs(gap) <= 2 * error else "win" if gap < 0 else "loss"
            counts[word] += 1
            lost += max(0.0, gap)
            means = ", ".join(f"{k} {float(v.mean()):.3f}" for k, v in values.items())
            rows = f"; {far} rows decide the mean" if far else ""
            print(f"{word}: {gap:+.3f} +- {error:.3f} to {best} ({means}){rows}", flush=True)
        print(f"{budget:g} CPU s: {counts}, {lost:.3f} nats lost", flush=True)


if __name__ == "__main__":
    main()
