"""Curves of a likelihood by processor time, from stored measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

__all__ = ["likelihood"]

Row = dict[str, Any]


def likelihood(rows: Sequence[Row]) -> Figure:
    """Draw test NLL by CPU seconds, a panel a data set; what is far above is left out and told."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    figure, grid = plt.subplots(
        1, len(names), figsize=(3.2 * len(names), 3.4), squeeze=False, layout="constrained"
    )
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for axes, name in zip(grid[0], names, strict=True):
        mine = [row for row in rows if row["data"] == name]
        ends = sorted(row["nll"] for row in mine)
        low, high = ends[0], ends[max(len(ends) - 2, 0)]
        pad = 0.25 * (high - low) or 1.0
        for row in mine:
            style = {"color": f"C{methods.index(row['method'])}", "label": row["method"]}
            axes.plot(*zip(*row["curve"], strict=True), "o-", ms=3, lw=1.2, **style)
        axes.set(title=name, xlabel="CPU seconds, one thread", ylim=(low - pad / 3, high + pad))
        axes.set_xlim(left=0)
    grid[0][0].set_ylabel("test NLL, nats")
    shown = dict(zip(*reversed(grid[0][0].get_legend_handles_labels()), strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown))
    lowest = (min((r for r in rows if r["data"] == n), key=lambda r: r["nll"]) for n in names)
    figure.set_label(
        f"Test NLL by CPU seconds on {len(names)} data sets, {', '.join(names)}. Lowest at the "
        f"end: {', '.join(row['method'] for row in lowest)}."
    )
    return figure
