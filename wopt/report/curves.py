"""Pictures of numbers by step and by iteration: energy, likelihood, loss, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wopt.report.pieces import svg
from wopt.report.read import Run
from wopt.report.style import BLUE, GREEN, MUTED, ORANGE, VERMILION, WIDTH, Picture, decades, limits
from wopt.train.record import StepRecord
from wopt.train.refine import REFINING

__all__ = ["diagnostics", "losses", "progress"]

_ROOM = 0.15
"""Height of a legend's line, as a fraction of the curves' height."""

_Panel = tuple[str, str, list[tuple[str, str, str, np.ndarray[Any, Any]]], float | None]


def progress(run: Run) -> Picture | None:
    """Draw the energy and the held-out NLL by step."""
    if not run.steps:
        return None
    steps = [r.step for r in run.steps]
    # Rows of a start that is pushed forward are not data.
    nll = _column(run.steps if run.pulls_back else [], "nll_valid")
    result = run.result
    both = bool(np.isfinite(nll).any())
    figure = Figure(figsize=(WIDTH, 3.5))
    axes = figure.subplots(1, 2 if both else 1, squeeze=False)[0]
    _energy(axes[0], run, steps)
    if both:
        _likelihood(axes[1], run, steps, nll)
    caption = "Both curves should fall and flatten" if both else "The energy should fall at each"
    caption += " step" if not both else ""
    if both and result is not None and result.entropy is not None and run.pulls_back:
        caption += "; no correct NLL lies below the entropy"
    if both and result is not None and result.nll_gaussian is not None:
        caption += (
            ", and below the dashed line the model is better than a Gaussian fitted to the data"
        )
    return Picture(
        "progress",
        "Energy and likelihood by step",
        caption + ".",
        f"Curves over {len(steps)} steps: the energy" + (" and the held-out NLL." if both else "."),
        svg(figure, [[[one] for one in figure.axes]]),
    )


def _energy(axes: Axes, run: Run, steps: list[int]) -> None:
    energy, change = _column(run.steps, "energy"), _column(run.steps, "energy_change")
    # The energy before the first step follows from its change.
    x, y = [steps[0] - 1, *steps], [energy[0] - change[0], *energy]
    axes.plot(x, y, color=BLUE, marker="o", clip_on=False, zorder=3)
    axes.set_title("Energy (held-out estimate)")
    objective = run.config.get("objective")
    name = objective.get("name") if isinstance(objective, dict) else objective
    axes.set_ylabel("kl, nats" if name == "kl" else str(name or "objective"))
    _by_step(axes)


def _likelihood(axes: Axes, run: Run, steps: list[int], nll: np.ndarray[Any, Any]) -> None:
    result = run.result
    axes.plot(steps, nll, color=BLUE, marker="o", label="held-out NLL", zorder=3)
    if result is not None and result.nll_test is not None:
        axes.plot(
            [steps[-1]], [result.nll_test], color=VERMILION, marker="D", ls="", ms=7,
            mfc="none", mew=1.8, label="test NLL (audited)", zorder=4,
        )  # fmt: skip
    if result is not None and result.nll_gaussian is not None:
        axes.axhline(result.nll_gaussian, color=ORANGE, ls="--", label="fitted Gaussian")
    if result is not None and result.entropy is not None and run.pulls_back:
        axes.axhline(result.entropy, color=GREEN, ls=":", lw=2.2, label="entropy (floor)")
    axes.set_title("Negative log-likelihood (estimate)")
    axes.set_ylabel("nats per row, data's units")
    axes.margins(y=0.12)
    _by_step(axes)
    axes.legend(loc="best")


def _panels(run: Run) -> list[_Panel]:
    """Return panels: title, unit, curves (label, colour, marker, values), the tolerance if any."""
    guard = run.config.get("guard")
    tolerance = guard.get("likelihood_tolerance") if isinstance(guard, dict) else None
    speed = _column(run.steps, "w2_step") / _column(run.steps, "step_size")
    affine = _column(run.steps, "residual")
    return [
        (
            "Solved? (estimates)",
            "length per h",
            [
                ("movement / h", BLUE, "o", speed),
                ("residual seen by affine fields", VERMILION, "s", affine),
            ],
            None,
        ),
        (
            "Likelihood error (estimate)",
            "nats, grid against audit",
            [("", BLUE, "o", _column(run.steps, "likelihood_error"))],
            tolerance,
        ),
        (
            "Inversion error (estimate)",
            "root mean square",
            [("", BLUE, "o", _column(run.steps, "inversion_error"))],
            None,
        ),
    ]


def diagnostics(run: Run) -> Picture | None:
    """Draw the residual, likelihood error and inversion error of each step."""
    if not run.steps:
        return None
    steps = [r.step for r in run.steps]
    panels = [p for p in _panels(run) if any(np.isfinite(values).any() for *_, values in p[2])]
    if not panels:
        return None
    figure = Figure(figsize=(WIDTH, 3.3))
    for axes, (title, unit, curves, tolerance) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for label, colour, marker, values in curves:
            _log_curve(axes, steps, values, label, colour, marker)
        if tolerance is not None:
            axes.axhline(tolerance, color=ORANGE, ls="--", lw=1.5, label="tolerance")
        axes.set_title(title)
        axes.set_ylabel(unit)
        axes.margins(y=0.15)
        _decades(axes)
        _by_step(axes)
        if axes.get_legend_handles_labels()[0]:
            _legend_above(axes)
    return Picture(
        "diagnostics",
        "How well the steps were solved",
        "Small errors mean that the likelihood and the inverse are reliable. The residual seen by "
        "affine fields is a lower bound: where it is not small the step is not solved, and where "
        "it is small nothing follows. Hollow marks at the bottom are zeros, which a logarithmic "
        "axis cannot show.",
        f"Residual, movement per h, likelihood error and inversion error over {len(steps)} steps, "
        "logarithmic scale.",
        svg(figure, [[[one] for one in figure.axes]]),
    )


def _legend_above(axes: Axes) -> None:
    """Make room for the legend above the curves, which it would hide in a short run."""
    low, high = axes.get_ylim()
    room = _ROOM * len(axes.get_legend_handles_labels()[0])
    if axes.get_yscale() == "log":
        axes.set_ylim(low, high * (high / low) ** room)
    axes.legend(loc="upper right")


def _log_curve(
    axes: Axes, steps: list[int], values: np.ndarray[Any, Any], label: str, colour: str, marker: str
) -> None:
    positive = np.where(values > 0, values, np.nan)
    zero = [s for s, v in zip(steps, values, strict=True) if v <= 0]
    if np.isfinite(positive).any():
        axes.set_yscale("log")
        axes.plot(steps, positive, color=colour, marker=marker, label=label or None, zorder=3)
    if zero:
        label = "" if np.isfinite(positive).any() else label
        axes.plot(
            zero, [0.02] * len(zero), color=colour, marker=marker, ls="", mfc="white", zorder=4,
            label=f"{label} (zero)" if label else None,
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip


def _decades(axes: Axes) -> None:
    """Label whole decades, and show at least one."""
    if axes.get_yscale() != "log":  # all values are zero
        axes.set_yticks([])
        return
    low, high = axes.get_ylim()
    if high < 10 * low:
        axes.set_ylim(low / 3, high * 3)
    decades(axes)


def _column(records: Sequence[StepRecord], key: str) -> np.ndarray[Any, Any]:
    values = (getattr(r, key) for r in records)
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _by_step(axes: Axes) -> None:
    axes.set_xlabel("step", color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))


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
