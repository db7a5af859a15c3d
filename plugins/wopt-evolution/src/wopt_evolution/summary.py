"""What the end of a run says of an evolution, or of a flow through populations."""

from __future__ import annotations

import math

from wopt.store import RunResult
from wopt_report import METRICS


def evolution_summary(result: RunResult) -> list[tuple[str, str]]:
    """Return rows of name and value for the table at the end of a run."""
    return [*_of_evolution(result), *_of_populations(result)]


def _of_evolution(result: RunResult) -> list[tuple[str, str]]:
    """Return how far the end is from the exact solution, by the measure that says most."""
    if (found := result.exact) is None:
        return []
    for key, words in METRICS:
        value, error = getattr(found, key), getattr(found, f"{key}_error", None)
        if value is not None and math.isfinite(value):
            return [(words, f"{value:.4g}" + (f" +- {error:.2g}" if error else ""))]
    return []


def _of_populations(result: RunResult) -> list[tuple[str, str]]:
    """Return how far guesses are from populations that were left out."""
    left = () if result.populations is None else result.populations.left_out
    return [
        (
            f"W1 from the left-out population at t = {one.time:g}",
            f"{one.w1:.4g} (displacement interpolation {one.displacement_w1:.4g})",
        )
        for one in left
    ]
