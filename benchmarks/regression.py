"""Quantiles and classes by wopt's estimators beside scikit-learn's gradient boosting.

Mean pinball loss over the levels 0.05, ..., 0.95 (half of CRPS, in units of the response's standard
deviation), share of test rows in the 90 % interval, root mean square error; for classes log-loss
and accuracy. The boosting has scikit-learn's defaults, a model a level. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import wopt

LEVELS = np.arange(1, 20) / 20


def noisy(seed: int = 0) -> tuple[Any, Any]:
    """Friedman's first law with a spread that grows along a feature."""
    x, y = datasets.make_friedman1(3000, noise=1.0, random_state=seed)
    return x, y + 2 * x[:, 5] * np.random.default_rng(seed).normal(size=len(y))


REGRESSIONS = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman 1, uneven noise": noisy,
    "friedman 2": lambda: datasets.make_friedman2(3000, noise=50.0, random_state=0),
    "friedman 3": lambda: datasets.make_friedman3(3000, noise=0.1, random_state=0),
}
CLASSES = {
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "clusters": lambda: datasets.make_classification(
        4000, 12, n_informative=8, n_classes=4, random_state=1
    ),
}


def judged(quantiles: Any, y: Any) -> str:
    """Return the cells of a table for quantiles, shape ``(n, 19)``."""
    over = y[:, None] - quantiles
    pinball = np.maximum(LEVELS * over, (LEVELS - 1) * over).mean() / y.std()
    inside = ((quantiles[:, 0] <= y) & (y <= quantiles[:, -1])).mean()
    return f"{pinball:.4f} | {inside:.3f}"


def regressions(budget: float) -> None:
    """Print the table of regressions."""
    print("| data | test rows | wopt pinball | in 90 % | rmse | boosting | in 90 % | rmse |")
    print("|---|---|---|---|---|---|---|---|")
    for name, load in REGRESSIONS.items():
        a, b, ya, yb = train_test_split(*load(), random_state=0)
        ours = wopt.FlowRegressor(budget, random_state=0).fit(a, ya)
        rmse = float(np.sqrt(np.mean((ours.predict(b) - yb) ** 2)))
        cells = f"{judged(ours.predict_quantiles(b, LEVELS), yb)} | {rmse:.3g}"
        trees = [HistGradientBoostingRegressor(loss="quantile", quantile=u) for u in LEVELS]
        theirs = np.stack([tree.fit(a, ya).predict(b) for tree in trees], 1)
        mean = HistGradientBoostingRegressor().fit(a, ya).predict(b)
        rmse = float(np.sqrt(np.mean((mean - yb) ** 2)))
        print(f"| {name} | {len(yb)} | {cells} | {judged(theirs, yb)} | {rmse:.3g} |", flush=True)


def classes(budget: float) -> None:
    """Print the table of classes."""
    print("\n| data | test rows | wopt log-loss | accuracy | boosting | accuracy |")
    print("|---|---|---|---|---|---|")
    for name, load in CLASSES.items():
        x, y = load()
        a, b, ya, yb = train_test_split(x, y, random_state=0, stratify=y)
        cells = []
        for model in (
            wopt.FlowClassifier(budget, random_state=0),
            HistGradientBoostingClassifier(),
        ):
            p = model.fit(a, ya).predict_proba(b)
            right = (model.classes_[p.argmax(1)] == yb).mean()
            cells.append(f"{log_loss(yb, p.clip(1e-9)):.3f} | {right:.3f}")
        print(f"| {name} | {len(yb)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=30.0)
    given = parser.parse_args()
    regressions(given.budget)
    classes(given.budget)
