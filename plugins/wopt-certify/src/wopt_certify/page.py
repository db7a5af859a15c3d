"""The certificate's part of a report: a picture by step, every bound, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from wopt.report import Run
from wopt_certify.bounds import RULES
from wopt_certify.estimate import Estimate
from wopt_certify.results import Certificate, StepCertificate
from wopt_report import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    Chart,
    Picture,
    log_range,
    number,
    page,
    whole,
)

_COLOURS = {
    "theorem_p": BLUE, "a_priori": GREEN, "theorem_s": "#56B4E9", "theorem_q": VERMILION,
    "log_sobolev": PURPLE, "forward_backward": ORANGE, "paper": INK,
}  # fmt: skip
"""Colours of bounds in pictures; the others are grey."""

Values = np.ndarray[Any, np.dtype[np.float64]]

_METHODS = {
    "score": ("eps, pushed score", GREEN),
    "gradient": ("eps, at the particles", GREEN),
    "critic": ("eps, critic", VERMILION),
    "affine": ("eps, affine fields", ORANGE),
    "record": ("eps, affine fields (of the run)", ORANGE),
}


class BoundRow(NamedTuple):
    """One line of the table of bounds after the last step, with what it needs or why it lacks."""

    name: str
    gap: float | None
    w2: float | None
    label: str
    needs: str
    refuted: bool


def bound_rows(run: Run) -> list[BoundRow]:
    """Return the bounds after the last step, the smallest first and those refuted last."""
    certificate = run.certificate
    if certificate is None or not certificate.steps:
        return []
    bounds = certificate.steps[-1].bounds
    rows = []
    for rule in RULES:
        there = {of: by[rule.name] for of, by in vars(bounds).items() if rule.name in by}
        if not there:
            continue
        known = {of: entry for of, entry in there.items() if entry.value is not None}
        refuted = next((one.refuted for one in known.values() if one.refuted), None)
        label, needs = "not available", next(iter(there.values())).reason
        if known:
            label, needs = next(iter(known.values())).label or "", rule.hypotheses
        if refuted:
            label, needs = "refuted", str(refuted)
        gap, w2 = (there[of].value if of in there else None for of in ("gap", "w2"))
        rows.append(BoundRow(rule.title, gap, w2, label, needs, refuted is not None))
    return sorted(
        rows, key=lambda r: (r.refuted, r.gap is None, r.gap or 0.0, r.w2 is None, r.w2 or 0.0)
    )


def certificate_section(run: Run) -> str | None:
    """Return what is certified as HTML; ``None`` without a certificate."""
    if run.certificate is None:
        return None
    return page("certificate.html", "wopt_certify", run=run, bounds=bound_rows(run))


def certificate_pictures(run: Run) -> list[Picture]:
    """Draw a known gap, the bounds and the measured errors by step, where there are several."""
    certificate = run.certificate
    if certificate is None or not certificate.steps or len(run.steps) < 2:
        return []
    steps = certificate.steps
    picture = Picture(
        "certificate",
        "Certificate",
        "Bars are the intervals of estimates. A bound given eps holds for the true eps, of which "
        "test fields may see next to nothing; dashed lines are bounds that facts refute.",
        f"Bounds of {certificate.of} and first-order errors over {len(steps)} steps, "
        "logarithmic scales.",
        (_bounds(steps, certificate), _errors(steps)),
    )
    return [picture]


def _bounds(steps: Sequence[StepCertificate], certificate: Certificate) -> Chart:
    curves = []
    for rule in RULES:
        entries = [s.bounds.gap.get(rule.name) for s in steps]
        values = _numbers([None if e is None else e.value for e in entries])
        if np.isfinite(values).any():
            refuted = any(e is not None and e.refuted is not None for e in entries)
            colour = _COLOURS.get(rule.name, "#999999")
            curves.append((rule.title, colour, values, refuted))
    known = [None if s.gap is None or s.gap.impossible else s.gap for s in steps]
    unit = "nats" if certificate.gap.of.in_nats else "the objective's units"
    shown = [*(values for *_, values, _ in curves), _highs(known)]
    chart = _chart(steps, shown, f"Bounds of {certificate.of}, {unit}")
    for label, colour, values, refuted in curves:
        chart.line(_at(steps), values, colour, label, dashed=refuted, marks=True)
    _with_interval(chart, _at(steps), known, "known (estimate)", INK)
    lower = certificate.gap.lower
    if lower is not None and lower > 0:
        chart.points(_at(steps)[-1:], [lower], INK, "at least", size=9)
    return chart


def _errors(steps: Sequence[StepCertificate]) -> Chart:
    moved = _numbers([s.movement.value / s.effective_step_size for s in steps])
    found = {method: [s.residuals.get(method) for s in steps] for method in _METHODS}
    highs = [_highs(estimates) for estimates in found.values()]
    chart = _chart(steps, [moved, *highs], "First-order errors seen (estimates), length per h")
    chart.line(_at(steps), moved, BLUE, "movement / h", marks=True)
    for method, (label, colour) in _METHODS.items():
        _with_interval(chart, _at(steps), found[method], label, colour)
    return chart


def _chart(steps: Sequence[StepCertificate], shown: Sequence[Values], title: str) -> Chart:
    at, ends = _at(steps), log_range(np.concatenate(shown))
    across = (at[0], at[-1] + (len(at) == 1))
    return Chart(across, ends, title=title, labels=("step", ""), log=True, names=whole(at))


def _at(steps: Sequence[StepCertificate]) -> list[int]:
    return [step.step for step in steps]


def _with_interval(
    chart: Chart, at: list[int], estimates: Sequence[Estimate | None], label: str, colour: str
) -> None:
    """Draw estimates that are known, with their intervals; zeros have no place on the axis."""
    value, low, high = (
        _numbers([None if e is None else getattr(e, end) for e in estimates])
        for end in ("value", "low", "high")
    )
    if np.isfinite(value).any():
        chart.points(at, value, colour, label, size=6)
        chart.intervals(at, np.maximum(low, chart.y[0]), high, colour)


def _highs(estimates: Sequence[Estimate | None]) -> Values:
    return _numbers([None if e is None else e.high for e in estimates])


def _numbers(values: Sequence[float | None]) -> Values:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


_GAIN = 0.01
"""Gain in nats that is worth another step."""


def certificate_advice(run: Run) -> Iterator[str]:
    """Yield sentences for the head of the report, the most urgent first."""
    certificate = run.certificate
    if certificate is None:
        return
    gap = certificate.gap
    if certificate.challengers is not None and gap.lower is not None and gap.lower > _GAIN:
        yield (
            f"Most would be gained by a better fit: another density gains at least "
            f"{number(gap.lower, 3)} nats. Give a larger budget, more steps (`stop.steps`) or "
            "another block; `stop.challenge = 0.01` ends when nothing is left to gain."
        )
    if certificate.two_sample is not None and certificate.two_sample.differs:
        yield "A larger budget, a wider block or more rows would make samples more like the data."
    if certificate.conditional is not None and certificate.conditional.wrong:
        yield (
            "Do not read intervals of the conditional law as they are; train on more rows, or make "
            "more steps."
        )
    if gap.of.in_nats and gap.lower is None and run.pulls_back:
        yield (
            f"No lower side was measured: `wopt certify {run.name} --budget 1min` fits challengers "
            "where the model has a density."
        )
