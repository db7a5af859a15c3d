"""Fill held-out entries of real tables beside scikit-learn's IterativeImputer.

python benchmarks/imputation.py [--budget 10]

A fifth of the entries of the test rows are hidden at random. A line has, for a table, the ratio of
root mean squared errors of means, and of the CRPS of draws (IterativeImputer's with
``sample_posterior``), in units of each column's standard deviation: below one wopt is better.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

import wopt

HIDDEN, DRAWS = 0.2, 20


def made(n: int = 3000) -> Any:
    """Return a table whose columns are related by curves."""
    rng = np.random.default_rng(1)
    a, b, noise = rng.normal(size=(3, n))
    return np.stack([a, a**2 + 0.3 * b, np.exp(0.5 * a + 0.5 * b), np.sin(2 * b) + 0.2 * noise], 1)


TABLES = {
    "iris": lambda: load_iris().data,
    "wine": lambda: load_wine().data,
    "diabetes": lambda: load_diabetes(scaled=False).data,
    "breast cancer": lambda: load_breast_cancer().data[:, :10],
    "curves": made,
}


def crps(draws: Any, truth: Any) -> float:
    """Return the mean CRPS of draws, shape ``(m, n)``, of values ``(n,)``."""
    apart = np.abs(draws[:, None] - draws[None]).sum((0, 1)) / (len(draws) * (len(draws) - 1))
    return float((np.abs(draws - truth).mean(0) - apart / 2).mean())


def compared(x: Any, budget: float) -> tuple[float, float, float]:
    """Return both ratios, and the CPU seconds of wopt's."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    test, train = x[order[: len(x) // 4]], x[order[len(x) // 4 :]]
    hidden = rng.random(test.shape) < HIDDEN
    gaps, scale = np.where(hidden, np.nan, test), train.std(0)
    names = [f"x{j}" for j in range(x.shape[1])]
    start, generator = time.process_time(), torch.Generator().manual_seed(0)
    flow = wopt.fit(pd.DataFrame(train, columns=names), budget=budget, listener=False).flow
    frame = pd.DataFrame(gaps, columns=names)
    means = [flow.impute(frame, "mean", generator=generator).to_numpy()]
    drawn = [[flow.impute(frame, generator=generator).to_numpy() for _ in range(DRAWS)]]
    seconds = time.process_time() - start
    means.append(IterativeImputer(max_iter=50, random_state=0).fit(train).transform(gaps))
    rival = IterativeImputer(max_iter=50, sample_posterior=True, random_state=0).fit(train)
    drawn.append([rival.transform(gaps) for _ in range(DRAWS)])
    errors = [np.sqrt(np.mean((((mean - test) / scale)[hidden]) ** 2)) for mean in means]
    scores = [
        crps(np.stack([(one / scale)[hidden] for one in many]), (test / scale)[hidden])
        for many in drawn
    ]
    return errors[0] / errors[1], scores[0] / scores[1], seconds


def main() -> None:
    """Print a line for each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=10.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, load in TABLES.items():
        error, score, seconds = compared(load(), options.budget)
        print(f"{name}: RMSE {error:.2f}, CRPS {score:.2f} ({seconds:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
