"""Advice on what to do next where something is wrong, in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from wopt.host import host
from wopt.report.read import Run

__all__ = ["advice"]


def advice(run: Run) -> list[str]:
    """Return at most two sentences, the most urgent first; empty if nothing is wrong."""
    return list(islice(_all(run), 2))


def _all(run: Run) -> Iterator[str]:
    result = run.result
    if result is not None and result.status == "failed":
        yield (
            "A step was rejected for good: lower `scheme.step_size` or `solver.learning_rate`, or "
            "give the block more capacity; the steps before it stand."
        )
    if result is not None and result.status == "stopped":
        yield f"Go on with `wopt resume {run.name}`; it continues after the last finished step."
    if result is not None and result.impossible:
        yield (
            f"{result.kl_of} is estimated far below 0, so a density is not normalised: leave "
            "NORMALISED out of the target's `provides`, or add log Z to its potential."
        )
    for more in host().registry.functions("advice"):
        yield from more(run)
