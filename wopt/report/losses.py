"""The picture of the loss by iteration."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from wopt.report.pieces import svg
from wopt.report.read import Run
from wopt.report.style import BLUE, MUTED, VERMILION, WIDTH, Picture, limits
from wopt.train.refine import REFINING

__all__ = ["losses"]


def losses(run: Run) -> Picture | None:
    """Draw the smoothed training loss of each step, one step after the other."""
    if all(value is None for one in run.losses for value in one.losses):
        return None
    figure = Figure(figsize=(WIDTH, 2.8))
    axes = figure.subplots()
    begin, shown = 0, list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]()
    for k, one in enumerate(run.losses):
        values = np.array([np.nan if v is None else v for v in one.losses], dtype=float)
        colour = VERMILION if one.what == REFINING else BLUE
        axes.plot(begin + np.array(one.iterations), values, color=colour, lw=1.3)
        if k:
            axes.axvline(begin, color=MUTED, lw=0.6, ls=":")
        begin += one.iterations[-1]
        # The first iterations of a step may be far off and would hide its end.
        shown.append(values[len(values) // 20 :])
    if np.isfinite(np.concatenate(shown)).any():
        axes.set_ylim(limits(np.concatenate(shown), 0.001))
    axes.set_title("Training loss (smoothed)")
    axes.set_xlabel("iterations, all steps one after the other")
    axes.set_ylabel("the subproblem's value")
    return Picture(
        "losses",
        "Loss by iteration",
        "Within a step the curve should fall and flatten; where it still falls at the dotted line, "
        "more solver.iterations would have helped. Each step has its own loss, so levels "
        "cannot be compared across a line.",
        f"Curves of the training loss over {begin:,} iterations of {len(run.losses)} trainings.",
        svg(figure),
    )
