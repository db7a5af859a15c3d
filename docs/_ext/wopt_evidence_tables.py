"""Tables beside those that the benchmarks print: means and spread over groups of runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

__all__ = ["laws_by_model", "mean_and_spread", "of_likelihood", "of_tables", "result"]

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


METHODS = ("wopt", "NSF", "MAF", "mixture", "Gaussian")


def result(row: Row) -> str:
    """Return whether wopt wins on a table: ties are within two errors.

    Example:
        >>> result({"gap": -0.3, "error": 0.1}), result({"gap": 0.1, "error": 0.1})
        ('win', 'tie')
    """
    if abs(row["gap"]) <= 2 * row["error"]:
        return "tie"
    return "win" if row["gap"] < 0 else "loss"


def of_tables(rows: Sequence[Row]) -> str:
    """Return the test NLL of every method on every table, a table a set of them, as Markdown."""
    groups: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["set"], row["seconds"]].append(row)
    lines = []
    for (name, seconds), some in groups.items():
        counts = [sum(result(row) == word for row in some) for word in ("win", "tie", "loss")]
        wins, ties, losses = counts
        lost = sum(max(row["gap"], 0.0) for row in some)
        lines += [
            "",
            f"**{seconds:g} CPU s, {name}**: {wins} wins, {ties} ties, {losses} losses, and "
            f"{lost:.2f} nats lost in all.",
            "",
            f"| table | rows, columns | {' | '.join(METHODS)} | gap | |",
            f"|---|---|{'---|' * len(METHODS)}---|---|",
            *(_of_table(row) for row in some),
        ]
    return "\n".join(lines).strip()


def _of_table(row: Row) -> str:
    size = (
        f"{row['rows']:,}, {row['columns']}" if "rows" in row else f"{row['test_rows']:,} to test"
    )
    name = f"{row['table']}: {row['note']}" if "note" in row else row["table"]
    scores = [f"{float(row['nll'][m]):,.2f}" if m in row["nll"] else "" for m in METHODS]
    gap = f"{row['gap']:+.2f} +- {row['error']:.2f}"
    return f"| {' | '.join([name, size, *scores, gap, result(row)])} |"
