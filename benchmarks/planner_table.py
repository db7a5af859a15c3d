"""The table of what the planner reaches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from bench import table

__all__ = ["summary"]

Row = dict[str, Any]

RIVALS = ("NSF", "MAF", "CNF")

MARKS = {
    **dict.fromkeys(("rose", "magic", "miniboone", "patches"), "*"),
    **dict.fromkeys(("moons", "clusters (synthetic)"), "t"),
    **dict.fromkeys(("banana", "diabetes", "mixed (synthetic)", "ringnorm"), "changed"),
    **dict.fromkeys(("german", "mouse", "shell", "twonorm", "waveform"), "changed"),
    **dict.fromkeys(("cauchy", "pareto", "sessions", "student"), "changed"),
}
"""Settings were tuned on the set (``*``), a rule was (``t``), or one changed after its result."""


def above(rows: Sequence[Row]) -> tuple[float, float]:
    """Return how far a rival is above wopt, and the standard error of that.

    The error is the larger of the one over test rows, which every seed draws anew, and of the one
    over seeds, which sees what training again moves.
    """
    gaps = np.array([row["above"] for row in rows])
    error = float(np.linalg.norm([row["above_error"] for row in rows]) / len(rows))
    if len(rows) > 1:
        error = max(error, float(gaps.std(ddof=1) / len(rows) ** 0.5))
    return float(gaps.mean()), error


def outcome(gap: float, error: float) -> str:
    """Return in a word who is ahead: a tie is a difference of less than two errors."""
    if abs(gap) <= 2 * error:
        return "tie" if gap >= 0 else "tie, rival ahead"
    return "win" if gap > 0 else "**loss**"


def line_of(name: str, budget: float, rows: Sequence[Row]) -> tuple[Any, ...]:
    """Return the line of a data set and a budget."""
    ours = [row for row in rows if row["method"] == "wopt"]
    found = {m: [row for row in rows if row["method"] == m] for m in RIVALS}
    gaps = {m: above(some) for m, some in found.items() if some}
    best = min(gaps, key=lambda m: gaps[m][0])
    cells = []
    for method in RIVALS:
        some = found[method]
        seeds = f" ({len(some)})" if some and len(some) < len(ours) else ""
        figure = "{:+.3f} +- {:.3f}" if some and gaps[method][1] < 1e4 else "{:+.2g} +- {:.2g}"
        cells.append(figure.format(*gaps[method]) + seeds if some else "")
    return (
        name, MARKS.get(name, ""), f"{budget:g}", len(ours), ours[0]["test"],
        f"{np.mean([row['nll'] for row in ours]):.3f}",
        f"{np.mean([row['seconds'] for row in ours]):.0f}",
        f"{np.mean([row['seconds'] for row in found[best]]):.0f}",
        *cells, outcome(*gaps[best]),
    )  # fmt: skip


def summary(rows: Iterable[Row]) -> str:
    """Return the table, a line for each data set and budget, and how many are won."""
    groups: dict[tuple[float, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["budget"], row["data"]].append(row)
    order = sorted(groups, key=lambda key: (key[0] != 60, -key[0], key[1]))
    lines = [line_of(name, budget, groups[budget, name]) for budget, name in order]
    head = ("data", "", "budget", "seeds", "test rows", "wopt", "its seconds", "rivals'")
    head += (*(f"{method} above wopt" for method in RIVALS), "")
    ends = [line[-1] for line in lines]
    wins, losses = ends.count("win"), ends.count("**loss**")
    level = sum(not end.endswith(("ahead", "loss**")) for end in ends)
    five = sum(line[3] >= 5 for line in lines)
    return (
        f"{table(head, lines)}\n\n"
        f"**Of {len(ends)} lines {wins} are wins, {len(ends) - wins - losses} ties and {losses} "
        f"losses; {level} are at or below the best rival that was measured**; {five} have five "
        "seeds (in brackets: of how many, where a rival has fewer than wopt).\n"
    )
