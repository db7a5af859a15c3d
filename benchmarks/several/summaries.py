"""Tables of the results: likelihoods paired by seed and test row, and the other figures."""

from __future__ import annotations

import statistics
from typing import Any

from bench import table

__all__ = ["tell", "thinned"]

Row = dict[str, Any]
_FIGURES = ("transport", "path", "lipschitz_median", "lipschitz_largest", "trip", "trip_from_noise",
            "outside", "not_finite")  # fmt: skip


def tell(rows: list[Row], reference: str = "one step") -> str:
    """Return two Markdown tables of rows, by data, block, budget and arm, over seeds."""
    groups, first, second = grouped(rows), [], []
    for (data, block, budget, arm), mine in groups.items():
        pairs = paired(mine, groups.get((data, block, budget, reference), []))
        seconds = statistics.mean(r["seconds"] for r in mine)
        nll = statistics.mean(r["nll"] for r in mine)
        gap = "" if arm == reference else difference(pairs)
        count = mine[0]["iterations"] + ([mine[0]["refined"]] if mine[0]["refined"] else [])
        summary = " + ".join(map(str, count))
        first.append((data, block, arm, len(mine), f"{seconds:.1f}", summary, f"{nll:.3f}", gap))
        figures = [statistics.mean(r[k] for r in mine) for k in _FIGURES]
        second.append((data, block, arm, *figures))
    head = ("data", "block", "arm", "seeds", "CPU s", "iterations", "test NLL", "above one step")
    return table(head, first) + "\n\n" + table(("data", "block", "arm", *_FIGURES), second)


def grouped(rows: list[Row]) -> dict[tuple[str, str, float, str], list[Row]]:
    """Return rows by data, block, budget and arm."""
    groups: dict[tuple[str, str, float, str], list[Row]] = {}
    for row in rows:
        if "nll" in row:
            key = row["data"], row["block"], row["budget"], row["arm"]
            groups.setdefault(key, []).append(row)
    return groups


def paired(mine: list[Row], base: list[Row]) -> list[tuple[Row, Row]]:
    """Return rows of an arm beside those of the same seed of another."""
    by_seed = {r["seed"]: r for r in base}
    return [(r, by_seed[r["seed"]]) for r in mine if r["seed"] in by_seed]


def thinned(rows: list[Row], reference: str = "one step") -> list[Row]:
    """Return rows with the error over test rows in place of the scores that it comes from.

    ``by_row`` of an arm is that of its difference from the reference of the same seed.
    """
    groups, errors = grouped(rows), dict[int, float]()
    for (data, block, budget, arm), mine in groups.items():
        if arm != reference:
            for pair in paired(mine, groups.get((data, block, budget, reference), [])):
                if "by_row" in pair[0] or all("scores" in one for one in pair):
                    errors[id(pair[0])] = over_rows(pair)
    kept = [{k: v for k, v in row.items() if k != "scores"} for row in rows]
    return [
        new | {"by_row": errors[id(old)]} if id(old) in errors else new
        for old, new in zip(rows, kept, strict=True)
    ]


def over_rows(pair: tuple[Row, Row]) -> float:
    """Return the standard error of a difference over test rows, kept or from both's scores."""
    if "by_row" in pair[0]:
        return float(pair[0]["by_row"])
    by_row = [a - b for a, b in zip(*(one["scores"] for one in pair), strict=True)]
    return statistics.stdev(by_row) / len(by_row) ** 0.5


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
    return f"{gaps[0]:+.3f} (rows: +- {over_rows(pairs[0]):.3f})"
