"""Advice on what to do next, by the results of a certificate."""

from __future__ import annotations

from collections.abc import Iterator

from wopt.report.numbers import number
from wopt.report.read import Run

__all__ = ["advice"]

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
            f"A free step still gains at least {number(gap.lower, 3)} nats: allow more steps "
            "(`stop.steps`), or set `stop.challenge = 0.01` to end when nothing is left to gain."
        )
    if certificate.two_sample is not None and certificate.two_sample.differs:
        yield (
            "Samples can be told from held-out rows: see below where, and give the model more "
            "steps, a wider block or more data there."
        )
    if certificate.conditional is not None and certificate.conditional.wrong:
        yield (
            "The conditional law is not calibrated: do not read its intervals as they are; train "
            "on more rows, or make more steps."
        )
    if gap.refuted:
        yield (
            "Test fields saw too little of the first-order errors, so bounds from above were "
            f"refuted: go by the lower side; `wopt certify {run.name} --budget 5min` tries harder."
        )
    if gap.of.in_nats and gap.lower is None and run.pulls_back:
        yield (
            f"No lower side was measured: `wopt certify {run.name} --budget 1min` fits challengers "
            "where the model has a density."
        )
