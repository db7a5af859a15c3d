"""The pictures of the pages of evidence: rows of stored measurements to a figure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["gaps_to_reference", "laws", "planner", "several", "tables"]

Row = dict[str, Any]
Bar = tuple[str, float, float]
"""A name, a mean and twice its error."""


def laws(runs: Sequence[Row]) -> Figure:
    """Draw the lower side and what was found against the truth, and the ratio by law."""
    figure, (both, share) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    truth = np.array([run["true"] for run in runs])
    floor = max(truth.min() / 3, 1e-4)
    low = np.array([max(run["low"], floor) for run in runs])
    found = np.array([max(run["value"], floor) for run in runs])
    both.loglog(truth, found, "x", color="C1", label="found")
    both.loglog(truth, low, ".", color="C0", ms=7, label="at least (95 %, no assumption)")
    ends = [floor, truth.max() * 2]
    both.loglog(ends, ends, "--", color="0.5", lw=1)
    both.set(xlabel="KL, true", ylabel="KL, said", title="false: dots above the line")
    both.legend()
    clear = [run for run in runs if run["true"] > 0.02]
    names = sorted({run["law"] for run in clear})
    for row, name in enumerate(names):
        shares = [run["low"] / run["true"] for run in clear if run["law"] == name]
        share.plot(shares, [row] * len(shares), "o", color="C0", alpha=0.5, ms=5)
        share.plot(statistics.mean(shares), row, "|", color="C1", ms=12, mew=2)
    share.set_yticks(range(len(names)), names, fontsize=8)
    share.set(xlabel="lower side / true KL", title="a run (dot), mean (bar)")
    share.set_xlim(-0.05, 1.05)
    figure.set_label(
        f"Left: of {len(runs)} runs the lower side and what was found against the true KL, on "
        f"logarithmic axes. {sum(run['low'] > run['true'] for run in runs)} lower sides are above "
        "the diagonal. Right: the ratio of the lower side and the true KL, by law."
    )
    return figure


def planner(rows: Sequence[Row]) -> Figure:
    """Draw how far each rival is above wopt, by data set."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    budgets = {row["budget"] for row in rows}
    for row in rows:
        if "above" in row:
            data = row["data"] if len(budgets) == 1 else f"{row['data']}, {row['budget']:g} s"
            groups[row["method"], data].append(row)
    bars: dict[str, list[Bar]] = defaultdict(list)
    for (method, data), some in groups.items():
        values = [row["above"] for row in some]
        error = spread(values, some[0]["above_error"])
        bars[method].append((data, statistics.mean(values), 2 * error))
    best = {name: min(v for b in bars.values() for n, v, _ in b if n == name) for _, name in groups}
    names = sorted(best, key=lambda name: best[name])
    figure, axes = plt.subplots(figsize=(8, 1 + 0.3 * len(names)), layout="constrained")
    for k, (method, mine) in enumerate(sorted(bars.items())):
        shift = 0.25 * (k - (len(bars) - 1) / 2)
        _dots(axes, mine, [names.index(name) + shift for name, _, _ in mine], f"C{k}", method)
    axes.axvline(0, color="0.5", lw=1)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="test NLL of the rival above wopt's, nats (two errors); right of 0: wopt wins")
    axes.legend(loc="upper left")
    ahead = sum(value >= 0 for value in best.values())
    figure.set_label(
        f"The difference of test likelihoods of rivals and wopt on {len(names)} data sets, with "
        f"intervals. The best rival is at or above wopt on {ahead} of them."
    )
    return figure


def tables(rows: Sequence[Row]) -> Figure:
    """Draw how far wopt is from the best rival, a dot a table, in falling order."""
    ordered = sorted(rows, key=lambda row: row["gap"])
    figure, axes = plt.subplots(figsize=(8, 1 + 0.16 * len(rows)), layout="constrained")
    bars = [(row["table"], row["gap"], 2 * row["error"]) for row in ordered]
    _dots(axes, bars, range(len(bars)), "C0", "wopt")
    axes.axvline(0, color="0.5", lw=1)
    axes.set_xscale("symlog", linthresh=0.1)
    names = [f"{row['table']}, {row['seconds']:g} s" for row in ordered]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(
        xlabel="test NLL of wopt above the best rival's, nats (two errors); left of 0: wopt wins"
    )
    losses = [name for name, (_, gap, two) in zip(names, bars, strict=True) if gap > two]
    figure.set_label(
        f"Test NLL of wopt above that of the best rival on {len(rows)} tables, with two standard "
        f"errors. Above by more than these: {', '.join(losses) or 'none'}."
    )
    return figure


def several(rows: Sequence[Row]) -> Figure:
    """Draw how far each arm is above one step, by data set and block."""
    bars = gaps_to_reference(rows)
    figure, axes = plt.subplots(figsize=(9, 1 + 0.27 * len(bars)), layout="constrained")
    _dots(axes, bars, range(len(bars)), "C0", "")
    axes.axvline(0, color="0.5", lw=1)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="test NLL above that of one step, nats (two errors); left of 0: better")
    better = sum(value + width < 0 for _, value, width in bars)
    figure.set_label(
        f"The difference of test likelihoods of {len(bars)} ways to train and of one step, with "
        f"intervals. {better} are clearly better than one step."
    )
    return figure


def gaps_to_reference(rows: Iterable[Row], reference: str = "one step") -> list[Bar]:
    """Return mean and two errors of each arm's test NLL less the reference's, paired by seed."""
    scored = [row for row in rows if "nll" in row]
    base = {
        (r["data"], r["block"], r["budget"], r["seed"]): r for r in scored if r["arm"] == reference
    }
    groups: dict[str, list[tuple[Row, Row]]] = defaultdict(list)
    for row in scored:
        other = base.get((row["data"], row["block"], row["budget"], row["seed"]))
        if other is not None and row["arm"] != reference:
            name = f"{row['data']}, {row['block']}, {row['budget']:g} s: {row['arm']}"
            groups[name].append((row, other))
    bars = []
    for name, pairs in sorted(groups.items()):
        gaps = [row["nll"] - other["nll"] for row, other in pairs]
        by_row = pairs[0][0].get("by_row", np.nan)  # several.py --thin keeps it
        bars.append((name, statistics.mean(gaps), 2 * spread(gaps, by_row)))
    return bars


def spread(values: Sequence[float], of_one: float) -> float:
    """Return the standard error over seeds; where there is one seed, that over its rows."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else of_one


def _dots(axes: Axes, bars: Sequence[Bar], at: Iterable[float], colour: str, label: str) -> None:
    values, widths = [value for _, value, _ in bars], [width for _, _, width in bars]
    axes.errorbar(
        values, list(at), xerr=widths, fmt="o", ms=4, lw=1.2, color=colour, label=label or None
    )
