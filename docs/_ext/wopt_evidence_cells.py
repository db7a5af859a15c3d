"""The picture of cells in time: how far guesses of a left-out population are from it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["cells"]

Row = dict[str, Any]
STRAIGHT = "displacement interpolation"
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of the way, as ``benchmarks/cells.py`` measures them."""


def cells(rows: Sequence[Row]) -> Figure:
    """Draw the distance to each left-out population by share of the way, mean and spread."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(1 + 3.2 * across, 3.8 * down), layout="constrained", squeeze=False
    )
    for one, name in zip(axes.flat, names, strict=False):
        _by_share(one, [row for row in rows if row["data"] == name])
        one.set(title=name, xlabel="share of the way", ylabel="$W_1$ to the left-out cells")
    for one in axes.flat[len(names) :]:
        one.remove()
    axes[0, across - 1].legend(fontsize=8)
    better = sum(_best(rows, name) != STRAIGHT for name in names)
    figure.set_label(
        f"Distances of guesses to {len(names)} left-out populations by share of the way, means "
        f"and deviations over seeds. At a half a flow is nearest in {better} of them, elsewhere "
        "straight lines between the partners of an optimal plan."
    )
    return figure


def _by_share(axes: Axes, rows: Sequence[Row]) -> None:
    for guess in dict.fromkeys(row["guess"] for row in rows if "shares" in row):
        curves = [row["shares"] for row in rows if row["guess"] == guess]
        at = list(zip(*curves, strict=True))
        errors = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in at]
        straight = guess == STRAIGHT
        axes.errorbar(
            SHARES, [statistics.mean(values) for values in at], yerr=errors, ms=3, marker="o",
            lw=2 if straight else 1, color="0.5" if straight else None,
            label=guess.removesuffix(", by length"),
        )  # fmt: skip
    axes.axvline(0.5, color="0.5", lw=0.8, ls="--")


def _best(rows: Sequence[Row], name: str) -> str:
    """Return the guess that is nearest at half of the length, in the mean over seeds."""
    found = [row for row in rows if row["data"] == name and "shares" in row]
    guesses = {row["guess"] for row in found}
    return min(
        guesses, key=lambda g: statistics.mean(row["w1"] for row in found if row["guess"] == g)
    )
