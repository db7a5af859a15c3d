"""Tables beside those that the benchmarks print: means and spread over groups of runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

__all__ = ["laws_by_model", "mean_and_spread"]

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
        "| block | training | runs | KL, true | lower side / true | upper / true | upper < true |",
        "|---|---|---|---|---|---|---|",
    ]
    for (block, training), some in sorted(groups.items()):
        telling = [run for run in some if run["true"] > 0.02]
        shares = (
            mean_and_spread([run[key] / run["true"] for run in telling]) for key in ("low", "upper")
        )
        false = sum(run["upper"] < run["true"] - 2 * run["true_error"] for run in some)
        cells = [block, training, len(some), mean_and_spread([run["true"] for run in some])]
        lines.append(f"| {' | '.join(map(str, [*cells, *shares, false]))} |")
    text = "Mean +- standard deviation over runs; ratios where the true KL is above 0.02:"
    return "\n".join([text, "", *lines])
