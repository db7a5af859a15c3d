"""A certificate in a table of steps and in sentences: on the terminal, and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from wopt.html import paragraph, table
from wopt.reading import printable
from wopt_certify.bounds import least
from wopt_certify.estimate import Estimate
from wopt_certify.results import Certificate, StepCertificate

_HEAD = ("step", "known", "eps seen", "movement/h", "least bound", "by", "paper's")
_WHOLE = {"movement/h", "least bound", "by"}
"""Columns that a narrow terminal does not wrap."""


def html(certificate: Certificate) -> str:
    """Return a certificate as HTML."""
    rows = [_cells(step) for step in certificate.steps]
    first, *others = _sentences(certificate)
    parts = [paragraph(first[0], bold=True), table(_HEAD, rows, _title(certificate))]
    return "".join([*parts, *(paragraph(text) for text, _ in others)])


def show(certificate: Certificate, console: Console | None = None) -> None:
    """Print a certificate, by default on the terminal."""
    to = console or Console(highlight=False)
    shown = Table(title=_title(certificate), title_justify="left")
    for name in _HEAD:
        side = "left" if name == "by" else "right"
        shown.add_column(name, justify=side, no_wrap=name in _WHOLE)  # type: ignore[arg-type]
    for step in certificate.steps:
        shown.add_row(*_cells(step))
    to.print(shown)
    for text, style in _sentences(certificate):
        to.print(printable(text), style=style, markup=False)


def _title(certificate: Certificate) -> str:
    return f"bounds of {certificate.of} from above, given the errors (eps) that were seen"


def _sentences(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Yield what is said, each with its style; the statement first."""
    yield certificate.statement.text, "bold"
    for one in certificate.gap.refuted:
        yield f"refuted: {one.name} <= {one.value:.4g}, by {one.by}", ""
    for each in certificate.resolution:
        between = f"[{each.kl_low:.3g}, {each.kl_high:.3g}]"
        yield f"at resolution {each.sigma:g}: KL in {between} (no assumption)", ""
    if certificate.two_sample is not None:
        yield f"samples: {certificate.two_sample.text()}", ""
    if certificate.conditional is not None:
        yield f"given the conditions: {certificate.conditional.text()}", ""
    if (trips := certificate.round_trip) is not None:
        noise = "" if trips.noise is None else f", noise {trips.noise.value:.3g}"
        yield f"round trips (rms, estimates): data {trips.data.value:.3g}{noise}", ""
    if (plan := certificate.final.steps_needed) is not None:
        yield f"from here on: {plan.text} ({plan.label})", ""
    for note in certificate.notes:
        yield note, "dim"


def _cells(step: StepCertificate) -> tuple[str, ...]:
    best, paper = least(step.bounds.gap), step.bounds.gap.get("paper")
    refuted = any(entry.refuted for entry in step.bounds.gap.values())
    return (
        str(step.step),
        _interval(step.gap),
        _interval(step.residual),
        f"{step.movement.value / step.effective_step_size:.3g}",
        "-" if best is None else f"{best[1]:.4g}",
        ("all refuted" if refuted else "") if best is None else best[0],
        "-" if paper is None or paper.value is None else f"{paper.value:.3g}",
    )


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.impossible:
        return f"{estimate.raw:.3g} (false)"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
