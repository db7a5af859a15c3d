"""Tables beside those that the benchmarks print: means and spread over groups of runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from wopt_evidence_pictures import upper_side

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
        "| block | training | runs | KL, true | lower side / true | upper side / true "
        "| upper side < true | no upper side |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (block, training), some in sorted(groups.items()):
        clear = [run for run in some if run["true"] > 0.02]
        low = mean_and_spread([run["low"] / run["true"] for run in clear])
        sides = [(upper_side(run), run) for run in some]
        known = [(side, run) for side, run in sides if side is not None]
        high = mean_and_spread([side / run["true"] for side, run in known if run["true"] > 0.02])
        false = sum(side < run["true"] - 2 * run["true_error"] for side, run in known)
        truth = mean_and_spread([run["true"] for run in some])
        cells = [block, training, len(some), truth, low, high, false, len(some) - len(known)]
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
