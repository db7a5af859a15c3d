"""A certificate as HTML for notebooks, and the cells of a step in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.html import paragraph, table
from wopt_certify.bounds import least

if TYPE_CHECKING:
    from wopt_certify.estimate import Estimate
    from wopt_certify.results import Certificate, StepCertificate

__all__ = ["certificate_cells", "certificate_html"]

_HEAD = ("step", "h", "known", "eps seen", "movement/h", "least bound", "by")


def certificate_html(certificate: Certificate) -> str:
    """Return a certificate as HTML: the statement, each step with its least bound, the notes.

    Intervals are those of estimates; refuted bounds are listed apart.
    """
    parts = [paragraph(certificate.statement.text, bold=True)]
    parts += [
        paragraph(f"Refuted: {one.name} <= {one.value:.4g}, by {one.by}")
        for one in certificate.gap.refuted
    ]
    title = f"{certificate.of} after each step: estimates, and the least bound given what was seen"
    parts.append(
        table(
            _HEAD,
            [
                (str(step.step), f"{step.step_size:g}", *certificate_cells(step))
                for step in certificate.steps
            ],
            title,
        )
    )
    if certificate.two_sample is not None:
        parts.append(paragraph(f"Samples: {certificate.two_sample.text()}"))
    parts += [paragraph(note) for note in certificate.notes]
    return "".join(parts)


def certificate_cells(step: StepCertificate) -> tuple[str, ...]:
    """Return the cells of a step: the last five columns of the table."""
    best = least(step.bounds.gap)
    refuted = any(entry.refuted for entry in step.bounds.gap.values())
    return (
        _interval(step.gap),
        _interval(step.residual),
        f"{step.movement.value / step.effective_step_size:.3g}",
        "-" if best is None else f"{best[1]:.4g}",
        ("all refuted" if refuted else "") if best is None else best[0],
    )


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.impossible:
        return f"{estimate.raw:.3g} (false)"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
