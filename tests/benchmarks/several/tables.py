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
        gap = "" if arm == reference else difference(pairs)
        count = mine[0]["iterations"] + ([mine[0]["refined"]] if mine[0]["refined"] else [])
        told = " + ".join(map(str, count))
        first.append((data, block, arm, len(mine), f"{seconds:.1f}", told, f"{nll:.3f}", gap))
        figures = [statistics.mean(r[k] for r in mine) for k in _FIGURES]
        second.append((data, block, arm, *figures))
    head = ("data", "block", "arm", "seeds", "CPU s", "iterations", "test NLL", "above one step")
    return table(head, first) + "\n\n" + table(("data", "block", "arm", *_FIGURES), second)


def difference(pairs: list[tuple[Row, Row]]) -> str:
    """Return the mean of paired differences with its standard error.

    From two seeds on it is that over seeds; of one seed it is that over test rows, and marked so.
    """
    gaps = [a["nll"] - b["nll"] for a, b in pairs]
    if len(gaps) > 1:
        error = statistics.stdev(gaps) / len(gaps) ** 0.5
        return f"{statistics.mean(gaps):+.3f} +- {error:.3f}"
    if not gaps:
        return ""
    by_row = [a - b for a, b in zip(*(pair["scores"] for pair in pairs[0]), strict=True)]
    return f"{gaps[0]:+.3f} (rows: +- {statistics.stdev(by_row) / len(by_row) ** 0.5:.3f})"
