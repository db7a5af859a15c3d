"""A certificate in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.certify.bounds import least
from wopt.html import paragraph, table

if TYPE_CHECKING:
    from wopt.certify.estimate import Estimate
    from wopt.certify.results import Certificate, StepCertificate

__all__ = ["html_of"]

_HEAD = ("step", "h", "known", "eps seen", "movement/h", "least bound", "by")


def html_of(certificate: Certificate) -> str:
    """Return a certificate as HTML: what is stated, each step with its least bound, the notes.

    Intervals are those of estimates; a bound that is refuted is not shown as one.
    """
    parts = [paragraph(certificate.statement.text, bold=True)]
    parts += [
        paragraph(f"Refuted: {one.name} <= {one.value:.4g}, by {one.by}")
        for one in certificate.gap.refuted
    ]
    title = f"{certificate.of} after each step: estimates, and the least bound given what was seen"
    parts.append(table(_HEAD, [_row(step) for step in certificate.steps], title))
    if certificate.two_sample is not None:
        parts.append(paragraph(f"Samples: {certificate.two_sample.text()}"))
    parts += [paragraph(note) for note in certificate.notes]
    return "".join(parts)


def _row(step: StepCertificate) -> tuple[str, ...]:
    best = least(step.bounds.gap)
    return (
        str(step.step),
        f"{step.step_size:g}",
        _interval(step.gap),
        _interval(step.residual),
        f"{step.movement.value / step.effective_step_size:.3g}",
        "-" if best is None else f"{best[1]:.4g}",
        "" if best is None else best[0],
    )


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.impossible:
        return f"{estimate.raw:.3g}: impossible"
    return f"{estimate.value:.3g} [{estimate.low:.2g}, {estimate.high:.2g}]"
