"""Tables beside those that the benchmarks print: means and spread over groups of runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

__all__ = ["laws_by_model", "mean_and_spread", "of_likelihood"]

Row = dict[str, Any]


def mean_and_spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return a mean and the standard deviation of the values themselves.

    Example:
        >>> mean_and_spread([1.0, 2.0, 3.0]), mean_and_spread([1.0]), mean_and_spread([])
        ('2.00 +- 1.00', '1.00', '-')
    """
    if not values:
        return "-"
    mean = f"{statistics.mean(values):{form}}"
    return mean if len(values) < 2 else f"{mean} +- {statistics.stdev(values):{form}}"


def laws_by_model(runs: Sequence[Row]) -> str:
    """Return what is said of models of each kind, over all laws, as Markdown."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for run in runs:
        groups[run["block"], run["training"]].append(run)
    lines = [
        "| block | training | runs | KL, true | limit / true | found / true | limit > true |",
        "|---|---|---|---|---|---|---|",
    ]
    for (block, training), some in sorted(groups.items()):
        clear = [run for run in some if run["true"] > 0.02]
        low, found = (
            mean_and_spread([run[key] / run["true"] for run in clear]) for key in ("low", "value")
        )
        false = sum(run["low"] > run["true"] + 2 * run["true_error"] for run in some)
        truth = mean_and_spread([run["true"] for run in some])
        cells = [block, training, len(some), truth, low, found, false]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    text = "Mean +- standard deviation over runs; ratios where the true KL is above 0.02:"
    return "\n".join([text, "", *lines])


def of_likelihood(rows: Sequence[Row]) -> str:
    """Return the test NLL of every method on every data set, as Markdown."""
    lines = [
        "| data | method | CPU s | test NLL | above wopt | iterations | parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gap = ""
        if "above_wopt" in row:
            gap = f"{row['above_wopt']:+.3f} +- {row['above_wopt_error']:.3f}"
        cells = [row["data"], row["method"], f"{row['seconds']:.1f}", f"{row['nll']:.3f}", gap]
        lines.append(f"| {' | '.join([*cells, str(row['iterations']), str(row['parameters'])])} |")
    return "\n".join(lines)
