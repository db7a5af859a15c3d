"""Pictures of numbers by step and by iteration: energy, likelihood, loss, accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wopt.train import REFINING, StepRecord
from wopt_report.charts import Chart, line_range, log_range, whole
from wopt_report.run import PlottedRun
from wopt_report.style import BLUE, GREEN, ORANGE, VERMILION, Array, Picture, limits


def progress(run: PlottedRun) -> Picture | None:
    """Draw the energy and the held-out NLL by step."""
    if not run.steps:
        return None
    # Rows of a start that is pushed forward are not data.
    nll = _column(run.steps if run.pulls_back else [], "nll_valid")
    both, result = bool(np.isfinite(nll).any()), run.result
    caption = "Both curves should fall and flatten" if both else "The energy should fall"
    if both and result is not None and result.entropy is not None:
        caption += "; no correct NLL lies below the entropy"
    if both and result is not None and result.nll_gaussian is not None:
        caption += "; below the dashed line the model is better than a fitted Gaussian"
    return Picture(
        "progress",
        "Energy and likelihood by step",
        caption + ".",
        f"Curves over {len(run.steps)} steps: the energy"
        + (" and the held-out NLL." if both else "."),
        (_energy(run), *([_likelihood(run, nll)] if both else [])),
    )


def _energy(run: PlottedRun) -> Chart:
    energy, change = _column(run.steps, "energy"), _column(run.steps, "energy_change")
    # The energy before the first step follows from its change.
    steps, values = [run.steps[0].step - 1, *_steps(run)], [energy[0] - change[0], *energy]
    objective = run.config.get("objective")
    name = objective.get("name") if isinstance(objective, dict) else objective
    unit = "kl, nats" if name == "kl" else str(name or "objective")
    title = f"Energy (held-out estimate): {unit}"
    chart = Chart(
        _by_step(steps), line_range(values), title=title, labels=("step", ""), names=whole(steps)
    )
    chart.line(steps, values, BLUE, marks=True)
    return chart


def _likelihood(run: PlottedRun, nll: Array) -> Chart:
    steps, result = _steps(run), run.result
    known = dict[str, tuple[float | None, str]]()
    if result is not None:
        known["test NLL (audited)"] = result.nll_test, VERMILION
        known["fitted Gaussian"] = result.nll_gaussian, ORANGE
        known["entropy (floor)"] = result.entropy, GREEN
    values = [value for value, _ in known.values() if value is not None]
    chart = Chart(
        _by_step(steps),
        line_range([*nll, *values]),
        title="Negative log-likelihood (estimate), nats per row",
        labels=("step", ""),
        names=whole(steps),
    )
    chart.line(steps, nll, BLUE, "held-out NLL", marks=True)
    for name, (value, colour) in known.items():
        if value is None:
            continue
        if name.startswith("test"):
            chart.points([steps[-1]], [value], colour, name, size=9)
        else:
            chart.rule(value, colour, name)
    return chart


def diagnostics(run: PlottedRun) -> Picture | None:
    """Draw the residual, likelihood error and inversion error of each step."""
    charts = tuple(_accuracy(run)) if run.steps else ()
    if not charts:
        return None
    return Picture(
        "diagnostics",
        "How well the steps were solved",
        "Small errors mean that the likelihood and the inverse are reliable. The residual seen by "
        "affine fields is a lower bound: where it is not small the step is not solved, and where "
        "it is small nothing follows. Zeros are left out, since the axis is logarithmic.",
        f"Residual, movement per h, likelihood error and inversion error over {len(run.steps)} "
        "steps, logarithmic scale.",
        charts,
    )


def _accuracy(run: PlottedRun) -> Iterator[Chart]:
    """Yield the charts of which values are known."""
    guard = run.config.get("guard")
    tolerance = guard.get("likelihood_tolerance") if isinstance(guard, dict) else None
    speed = _column(run.steps, "w2_step") / _column(run.steps, "step_size")
    residual = _column(run.steps, "residual")
    solved = [
        ("movement / h", BLUE, speed),
        ("residual seen by affine fields", VERMILION, residual),
    ]
    for title, curves, limit in (
        ("Solved? Length per h (estimates)", solved, None),
        ("Likelihood error, nats, grid against audit",
         [("", BLUE, _column(run.steps, "likelihood_error"))], tolerance),
        ("Inversion error, root mean square",
         [("", BLUE, _column(run.steps, "inversion_error"))], None),
    ):  # fmt: skip
        values = np.concatenate([value for *_, value in curves])
        if not np.isfinite(values).any():
            continue
        ends = log_range([*values, *([] if limit is None else [limit])])
        chart = Chart(
            _by_step(_steps(run)), ends, title=title, labels=("step", ""), log=True,
            names=whole(_steps(run)),
        )  # fmt: skip
        for label, colour, value in curves:
            chart.line(_steps(run), value, colour, label, marks=True)
        if limit is not None:
            chart.rule(limit, ORANGE, "tolerance")
        yield chart


def losses(run: PlottedRun) -> Picture | None:
    """Draw the smoothed training loss of each step, one step after the other."""
    if all(value is None for one in run.losses for value in one.losses):
        return None
    begin, curves = 0, list[tuple[Array, Array, str]]()
    for one in run.losses:
        values = np.array([np.nan if v is None else v for v in one.losses], dtype=float)
        colour = VERMILION if one.what == REFINING else BLUE
        curves.append((begin + np.array(one.iterations, dtype=float), values, colour))
        begin += one.iterations[-1]
    # The first iterations of a step may be far off and would hide its end.
    shown = np.concatenate([values[len(values) // 20 :] for _, values, _ in curves])
    chart = Chart(
        (0, begin), limits(shown, 0.001), title="Training loss (smoothed)", height=150,
        labels=("iterations, all steps one after the other", ""),
    )  # fmt: skip
    for at, values, colour in curves:
        chart.line(at, np.where(values <= chart.y[1], values, np.nan), colour)
    return Picture(
        "losses",
        "Loss by iteration",
        "Within a step the curve should fall and flatten; where it still falls at the end of one, "
        "more solver.iterations would have helped. Each step has its own loss.",
        f"Curves of the training loss over {begin:,} iterations of {len(run.losses)} trainings.",
        (chart,),
    )


def _steps(run: PlottedRun) -> list[int]:
    return [record.step for record in run.steps]


def _by_step(steps: Sequence[int]) -> tuple[float, float]:
    """Return the range of an axis of steps; one step alone has room too."""
    return (steps[0], steps[-1]) if len(steps) > 1 else (steps[0] - 0.5, steps[0] + 0.5)


def _column(records: Sequence[StepRecord], key: str) -> Array:
    values = (getattr(r, key) for r in records)
    return np.array([np.nan if v is None else v for v in values], dtype=float)
