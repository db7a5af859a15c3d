"""A page that compares runs: a table, and curves by step and by processor time."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from wopt.errors import ConfigError
from wopt.files import write_text
from wopt.store import RunResult
from wopt_certify.compare.pairs import PairwiseComparison
from wopt_report import (
    BLUE,
    GREEN,
    INK,
    METRICS,
    ORANGE,
    PURPLE,
    VERMILION,
    Chart,
    Picture,
    PlottedRun,
    line_range,
    page,
    read_plotted_run,
    status,
    subtitle,
)

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, INK)
_CURVES = (
    ("energy", "Energy (held-out estimate)", "objective"),
    ("nll_valid", "Held-out NLL (estimate)", "nats per row, data's units"),
    ("residual", "Residual seen by affine fields (a lower bound)", "length per h"),
)


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """One run in the table.

    Attributes:
        name: The run directory's name, made unique.
        differs: This run's values of the settings in which the runs differ.
        values: The columns of :data:`COLUMNS`.
        reference: The reference of `distance`, in words; empty where there is none.
    """

    name: str
    run: PlottedRun
    differs: dict[str, str]
    values: dict[str, float | None]
    reference: str = ""


COLUMNS = (
    ("steps", "steps"),
    ("energy", "energy"),
    ("nll_test", "test NLL"),
    ("gain", "vs Gaussian"),
    ("kl", "KL"),
    ("lower", "KL at least"),
    ("distance", "distance"),
    ("residual", "residual >="),
    ("likelihood_error", "lik. error"),
    ("retries", "retries"),
    ("cpu_seconds", "CPU s"),
)
"""Key and heading of the table's columns; divergences and likelihoods in nats."""


def rows(directories: Sequence[Path]) -> list[ComparedRun]:
    """Read the runs and find the options in which they differ."""
    if len(directories) < 2:
        raise ConfigError("name two or more run directories to compare")
    runs = [read_plotted_run(directory) for directory in directories]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(directory) for directory in directories]
    tables = [dict(_flat({k: v for k, v in r.config.items() if k != "versions"})) for r in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    differing = [k for k in keys if len({table.get(k) for table in tables}) > 1]
    words, distances = _against_reference(runs, names)
    return [
        ComparedRun(
            name,
            run,
            {k: table.get(k, "-") for k in differing},
            _values(run) | {"distance": distance},
            words,
        )
        for name, run, table, distance in zip(names, runs, tables, distances, strict=True)
    ]


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return rows of dotted key and value."""
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            rows.append((prefix + key, value))
        else:
            rows.append((prefix + key, json.dumps(value, default=str, ensure_ascii=False)))
    return rows


def challenged(compared: Sequence[ComparedRun], duels: PairwiseComparison) -> list[ComparedRun]:
    """Return the rows, each with its largest lower side: the certificate's, or a rival's."""
    made = []
    for k, row in enumerate(compared):
        known = [v for v in (row.values["lower"], duels.least(k)) if v is not None]
        values = row.values | {"lower": max(known, default=None)}
        made.append(dataclasses.replace(row, values=values))
    return made


def compare(
    compared: Sequence[ComparedRun], path: Path, duels: PairwiseComparison | None = None
) -> Path:
    """Write the page that shows runs side by side.

    Args:
        compared: Rows from :func:`rows`.
    """
    pictures = [p for by in ("step", "cpu") if (p := _picture(compared, by)) is not None]
    text = page(
        "compare.html",
        "wopt_certify.compare",
        rows=compared,
        columns=COLUMNS,
        differing=list(compared[0].differs),
        rivals=[f"by {row.name}" for row in compared],
        pictures=pictures,
        status=status,
        subtitle=subtitle,
        duels=duels or PairwiseComparison(),
    )
    write_text(path, text)
    return path


def _values(run: PlottedRun) -> dict[str, float | None]:
    last = run.steps[-1] if run.steps else None
    result = run.result or RunResult("done", "", len(run.steps))
    certified = None if run.certificate is None else run.certificate.kl
    return {
        "steps": len(run.steps),
        "energy": None if last is None else last.energy,
        "nll_test": result.nll_test,
        "gain": result.gain,
        "kl": result.kl,
        "lower": None if certified is None else certified.lower,
        "residual": None if last is None else last.residual,
        "likelihood_error": result.likelihood_error,
        "retries": sum(record.retries for record in run.steps),
        "cpu_seconds": result.cpu_seconds,
    }


def _picture(compared: Sequence[ComparedRun], by: str) -> Picture | None:
    records = [record for row in compared for record in row.run.steps]
    curves = [c for c in _CURVES if any(getattr(one, c[0]) is not None for one in records)]
    if not curves:
        return None
    return Picture(
        by,
        "By step" if by == "step" else "By processor time",
        "Lower is better in every panel; by step it compares schemes, by time also their cost.",
        f"Curves of {len(compared)} runs.",
        tuple(_chart(compared, by, *curve) for curve in curves),
    )


def _chart(compared: Sequence[ComparedRun], by: str, key: str, title: str, unit: str) -> Chart:
    """Return the curves of all runs; after as many as there are colours, lines are dashed."""
    curves = []
    for row in compared:
        steps = row.run.steps
        y = [np.nan if (v := getattr(r, key)) is None else v for r in steps]
        x: list[float] = [r.step for r in steps]
        curves.append((x if by == "step" else list(accumulate(r.cpu_seconds for r in steps)), y))
    ends = [np.concatenate(values) for values in zip(*curves, strict=True)]
    across = "step" if by == "step" else "processor seconds of the steps, all threads"
    chart = Chart(
        line_range(ends[0]), line_range(ends[1]), title=f"{title}: {unit}", labels=(across, "")
    )
    for index, (row, (x, y)) in enumerate(zip(compared, curves, strict=True)):
        dashed = index >= len(_COLOURS)
        colour = _COLOURS[index % len(_COLOURS)]
        chart.line(x, y, colour, row.name, dashed=dashed, marks=True)
    return chart


def _against_reference(
    runs: Sequence[PlottedRun], names: Sequence[str]
) -> tuple[str, list[float | None]]:
    """Return the reference of the runs' distances at their ends, in words, and the distances.

    It is the exact solution, by the first metric that is known for all runs that have one, or else
    the run with the most steps.
    """
    exact = [None if run.result is None else run.result.exact for run in runs]
    known = [one for one in exact if one is not None]
    for key, words in METRICS:
        if known and all(_finite(getattr(one, key, None)) for one in known):
            return words, [None if one is None else getattr(one, key) for one in exact]
    return _against_finest(runs, names)


def _against_finest(
    runs: Sequence[PlottedRun], names: Sequence[str]
) -> tuple[str, list[float | None]]:
    """Return the root mean square distances of particles, at least W2, where these correspond."""
    nothing: tuple[str, list[float | None]] = "", [None] * len(runs)
    if not all(run.snapshots for run in runs):
        return nothing
    same = [{k: run.config.get(k) for k in ("source", "seed", "guard")} for run in runs]
    last = [run.snapshots[-1] for run in runs]
    shapes = {s.arrays["points"].shape for s in last}
    timely = all(math.isclose(s.time, last[0].time, rel_tol=1e-9) for s in last)
    if any(s != same[0] for s in same) or len(shapes) > 1 or not timely:
        return nothing
    finest = max(range(len(runs)), key=lambda k: len(runs[k].steps))
    points = last[finest].arrays["points"]
    weights = last[finest].arrays.get("weights")
    words = (
        f"W2 at most from {names[finest]}, the run with the most steps "
        f"({len(runs[finest].steps)}), at t = {last[finest].time:g}"
    )
    squares = [((s.arrays["points"] - points) ** 2).sum(1) for s in last]
    values = [math.sqrt(float(np.average(one, weights=weights))) for one in squares]
    return words, [None if k == finest else value for k, value in enumerate(values)]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
