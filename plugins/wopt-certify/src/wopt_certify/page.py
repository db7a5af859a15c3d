"""The certificate's part of a report: a picture by step, every bound, what to do next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wopt.report import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    WIDTH,
    Picture,
    Run,
    decades,
    number,
    page,
    svg,
)
from wopt_certify.bounds import RULES, Entry
from wopt_certify.estimate import Estimate
from wopt_certify.results import Certificate, StepCertificate

__all__ = ["BoundRow", "advice", "bound_rows", "certificate_picture", "pictures", "section"]

_COLOURS = {
    "theorem_p": BLUE, "a_priori": GREEN, "theorem_s": "#56B4E9", "theorem_q": VERMILION,
    "log_sobolev": PURPLE, "forward_backward": ORANGE, "paper": INK,
}  # fmt: skip
"""Colours of bounds in pictures; the others are grey."""

_METHODS = {
    "score": ("eps, pushed score", GREEN, "s"),
    "gradient": ("eps, at the particles", GREEN, "s"),
    "critic": ("eps, critic", VERMILION, "D"),
    "affine": ("eps, affine fields", ORANGE, "^"),
    "record": ("eps, affine fields (of the run)", ORANGE, "^"),
}


@dataclasses.dataclass(frozen=True)
class BoundRow:
    """One line of the table of bounds after the last step.

    Attributes:
        name: Name of the bound.
        gap, w2: Its values, if any.
        label: The status of the values.
        needs: Their conditions, or why there is no value.
        refuted: Whether facts contradict the bound.
    """

    name: str
    gap: float | None
    w2: float | None
    label: str
    needs: str
    refuted: bool = False


def bound_rows(run: Run) -> list[BoundRow]:
    """Return the bounds after the last step, the smallest first and those refuted last."""
    certificate = run.certificate
    if certificate is None or not certificate.steps:
        return []
    bounds = certificate.steps[-1].bounds
    rows = []
    for rule in RULES:
        gap, w2 = bounds.gap.get(rule.name), bounds.w2.get(rule.name)
        if gap or w2:
            rows.append(_row(rule.title, rule.hypotheses, gap, w2))
    return sorted(
        rows, key=lambda r: (r.refuted, r.gap is None, r.gap or 0.0, r.w2 is None, r.w2 or 0.0)
    )


def _row(name: str, needs: str, gap: Entry | None, w2: Entry | None) -> BoundRow:
    entries = [entry for entry in (gap, w2) if entry is not None]
    known = [entry for entry in entries if entry.value is not None]
    refuted = next((entry.refuted for entry in known if entry.refuted), None)
    label = (known[0].label or "") if known else "not available"
    return BoundRow(
        name,
        None if gap is None else gap.value,
        None if w2 is None else w2.value,
        "refuted" if refuted else label,
        str(refuted or (needs if known else entries[0].reason)),
        refuted is not None,
    )


def section(run: Run) -> str | None:
    """Return what is certified as HTML; ``None`` without a certificate."""
    if run.certificate is None:
        return None
    return page("certificate.html", "wopt_certify", run=run, bounds=bound_rows(run))


def pictures(run: Run) -> list[Picture]:
    """Draw the certificate by step, where there are several."""
    picture = certificate_picture(run) if len(run.steps) > 1 else None
    return [] if picture is None else [picture]


def certificate_picture(run: Run) -> Picture | None:
    """Draw the gap where it is known, the bounds, and the measured errors by step."""
    certificate = run.certificate
    if certificate is None or not certificate.steps:
        return None
    steps = certificate.steps
    figure = Figure(figsize=(WIDTH, 4.2))
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    _bounds(left, steps, certificate)
    _errors(right, steps)
    return Picture(
        "certificate",
        "Certificate",
        "Bars are the intervals of estimates. A bound given eps holds for the true eps, of which "
        "test fields may see next to nothing; crosses are bounds that facts refute.",
        f"Bounds of {certificate.of} and first-order errors over {len(steps)} steps, "
        "logarithmic scales.",
        svg(figure, [[[left], [right]]]),
    )


def _bounds(axes: Axes, steps: Sequence[StepCertificate], certificate: Certificate) -> None:
    at = [s.step for s in steps]
    for rule in RULES:
        name, colour = rule.name, _COLOURS.get(rule.name, "#999999")
        entries = [s.bounds.gap.get(name) for s in steps]
        values = _numbers([None if e is None else e.value for e in entries])
        if np.isfinite(values).any():
            dashed = "--" if name in ("paper", "convex") else "-"
            axes.plot(at, _positive(values), dashed, color=colour, marker=".", label=rule.title)
            wrong = np.array([e is not None and e.refuted is not None for e in entries])
            axes.plot(np.array(at)[wrong], values[wrong], ls="", marker="x", ms=9, color=colour)
    known = [None if s.gap is None or s.gap.impossible else s.gap for s in steps]
    _with_interval(axes, at, known, "known (estimate)", INK, "o")
    if certificate.gap.lower is not None and certificate.gap.lower > 0:
        axes.plot(
            at[-1:], [certificate.gap.lower], ls="", marker="^", ms=9, color=INK, label="at least"
        )
    axes.set_title(f"Bounds of {certificate.of}")
    axes.set_ylabel("nats" if certificate.gap.of.in_nats else "the objective's units")
    _finish(axes)


def _errors(axes: Axes, steps: Sequence[StepCertificate]) -> None:
    at = [s.step for s in steps]
    moved = [s.movement.value / s.effective_step_size for s in steps]
    axes.plot(at, _positive(_numbers(moved)), color=BLUE, marker="o", label="movement / h")
    for method, (label, colour, marker) in _METHODS.items():
        estimates = [s.residuals.get(method) for s in steps]
        _with_interval(axes, at, estimates, label, colour, marker)
    axes.set_title("First-order errors seen (estimates)")
    axes.set_ylabel("length per h")
    _finish(axes)


def _with_interval(
    axes: Axes,
    at: list[int],
    estimates: Sequence[Estimate | None],
    label: str,
    colour: str,
    marker: str,
) -> None:
    value, low, high = (
        _numbers([None if e is None else getattr(e, end) for e in estimates])
        for end in ("value", "low", "high")
    )
    if not np.isfinite(value).any():
        return
    shown = _positive(value)
    # A zero cannot be shown on a logarithmic axis; the upper end of its interval can.
    bars = np.vstack([np.nan_to_num(shown - np.maximum(low, 0.02 * shown)), high - shown])
    axes.errorbar(
        at, shown, yerr=np.clip(np.nan_to_num(bars), 0, None), color=colour, marker=marker,
        ms=5, lw=1.2, capsize=2.5, label=label, zorder=4,
    )  # fmt: skip
    only_high = np.isnan(shown) & (high > 0)
    if only_high.any():
        axes.plot(
            np.array(at)[only_high], high[only_high], ls="", marker="v", mfc="none", color=colour
        )


def _finish(axes: Axes) -> None:
    axes.set_yscale("log")
    decades(axes)
    axes.set_xlabel("step", color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8)


def _numbers(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _positive(
    values: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.where(values > 0, values, np.nan)


_GAIN = 0.01
"""Gain in nats that is worth another step."""


def advice(run: Run) -> Iterator[str]:
    """Yield sentences for the head of the report, the most urgent first."""
    certificate = run.certificate
    if certificate is None:
        return
    gap = certificate.gap
    if certificate.challengers is not None and gap.lower is not None and gap.lower > _GAIN:
        yield (
            f"Most would be gained by more training: another density gains at least "
            f"{number(gap.lower, 3)} nats. Give a larger budget or more steps (`stop.steps`), or "
            "set `stop.challenge = 0.01` to end when nothing is left to gain."
        )
    if certificate.two_sample is not None and certificate.two_sample.differs:
        yield (
            "Most would be gained where samples can be told from held-out rows: give the model "
            "more steps, a wider block or more rows there."
        )
    if certificate.conditional is not None and certificate.conditional.wrong:
        yield (
            "The conditional law is not calibrated: do not read its intervals as they are; train "
            "on more rows, or make more steps."
        )
    if gap.of.in_nats and gap.lower is None and run.pulls_back:
        yield (
            f"No lower side was measured: `wopt certify {run.name} --budget 1min` fits challengers "
            "where the model has a density."
        )
