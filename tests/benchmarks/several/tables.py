"""Tables of the results: likelihoods paired by seed and test row, and the other figures."""

from __future__ import annotations

import statistics
from typing import Any

from bench import table

__all__ = ["tell"]

Row = dict[str, Any]
_FIGURES = ("transport", "path", "lipschitz_median", "lipschitz_largest", "trip", "trip_from_noise",
            "outside", "not_finite")  # fmt: skip


def tell(rows: list[Row], reference: str = "one step") -> str:
    """Return two Markdown tables of rows, by data, block, budget and arm, over seeds."""
    groups: dict[tuple[str, str, float, str], list[Row]] = {}
    for row in rows:
        if "nll" in row:
            groups.setdefault((row["data"], row["block"], row["budget"], row["arm"]), []).append(
                row
            )
    first, second = [], []
    for (data, block, budget, arm), mine in groups.items():
        base = {r["seed"]: r for r in groups.get((data, block, budget, reference), [])}
        pairs = [(r, base[r["seed"]]) for r in mine if r["seed"] in base]
        seconds = statistics.mean(r["seconds"] for r in mine)
        nll = statistics.mean(r["nll"] for r in mine)
        gap = "" if arm == reference else difference([a["nll"] - b["nll"] for a, b in pairs])
        count = mine[0]["iterations"] + ([mine[0]["refined"]] if mine[0]["refined"] else [])
        told = " + ".join(map(str, count))
        first.append((data, block, arm, len(mine), f"{seconds:.1f}", told, f"{nll:.3f}", gap))
        figures = [statistics.mean(r[k] for r in mine) for k in _FIGURES]
        second.append((data, block, arm, *figures))
    head = ("data", "block", "arm", "seeds", "CPU s", "iterations", "test NLL", "above one step")
    return table(head, first) + "\n\n" + table(("data", "block", "arm", *_FIGURES), second)


def difference(gaps: list[float]) -> str:
    """Return the mean of paired differences and, from two seeds on, its standard error."""
    mean = statistics.mean(gaps) if gaps else float("nan")
    if len(gaps) < 2:
        return f"{mean:+.3f}"
    return f"{mean:+.3f} +- {statistics.stdev(gaps) / len(gaps) ** 0.5:.3f}"
