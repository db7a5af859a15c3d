"""The reference of a comparison of evolutions: the exact law, or the finest run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wopt.report import Run
from wopt_report import METRICS

__all__ = ["against_reference"]


def against_reference(runs: Sequence[Run], names: Sequence[str]) -> tuple[str, list[float | None]]:
    """Return the reference of the runs' distances at their ends, in words, and the distances.

    The reference is the exact solution, by the first of KL, L1, W2 and the second moment that is
    known for all runs that have one. Otherwise, if the runs began at the same particles and ended
    at the same time with snapshots, it is the run with the most steps: the distance is then the
    root mean square distance of their particles, which is at least W2.

    Args:
        runs: The runs.
        names: The names of the runs.

    Returns:
        Words, empty without a reference, and one value per run.
    """
    exact = [None if run.result is None else run.result.exact for run in runs]
    known = [one for one in exact if one is not None]
    for key, words in METRICS:
        if known and all(_finite(getattr(one, key, None)) for one in known):
            return words, [None if one is None else getattr(one, key) for one in exact]
    return _against_finest(runs, names)


def _against_finest(runs: Sequence[Run], names: Sequence[str]) -> tuple[str, list[float | None]]:
    nothing: tuple[str, list[float | None]] = "", [None] * len(runs)
    if len(runs) < 2 or not all(run.snapshots for run in runs):
        return nothing
    same = [{k: run.config.get(k) for k in ("source", "seed", "guard")} for run in runs]
    last = [run.snapshots[-1] for run in runs]
    if any(s != same[0] for s in same) or any(
        not math.isclose(s.time, last[0].time, rel_tol=1e-9)
        or s.arrays["points"].shape != last[0].arrays["points"].shape
        for s in last
    ):
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
