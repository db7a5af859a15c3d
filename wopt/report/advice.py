"""Advice on what to do next where something is wrong, in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from wopt.certify.results import Certificate
from wopt.report.numbers import number
from wopt.report.read import Run

__all__ = ["advice"]

_GAIN = 0.01
"""Gain in nats that is worth another step."""


def advice(run: Run) -> list[str]:
    """Return at most two sentences, the most urgent first; empty if nothing is wrong."""
    return list(islice(_all(run), 2))


def _all(run: Run) -> Iterator[str]:
    result, certificate = run.result, run.certificate
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
    if result is not None and result.sampler and not result.sampler.reliable:
        lost = result.sampler.lost_modes
        more = "start wider, so that no mode is out of reach" if lost else "make more steps"
        yield (
            f"Do not use means or log Z of this sampler yet: {more} or widen the block, and run "
            "again; chains of another method are the check where that does not help."
        )
    if certificate is not None:
        yield from _of_certificate(certificate, run)


def _of_certificate(certificate: Certificate, run: Run) -> Iterator[str]:
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
