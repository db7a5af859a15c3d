"""The headline of a sampler whose target is not normalised: KL by its weights."""

from __future__ import annotations

import dataclasses
import math

from wopt.store import RunDirectory, RunResult, read_document
from wopt_certify.results import Certificate

__all__ = ["with_sampler"]


def with_sampler(certificate: Certificate, directory: RunDirectory) -> Certificate:
    """Return the certificate with KL(model | target) = log Z - ELBO, if no better one is known.

    log Z is that by bridge sampling, so the value is an estimate, and the text says whether the
    draws can be trusted.
    """
    result = read_document(directory.result, RunResult)
    if result is None or result.sampler is None:
        return certificate
    sampler, gap = result.sampler, certificate.gap
    estimate = sampler.log_z - sampler.elbo
    false = any(step.gap is not None and step.gap.impossible for step in certificate.steps)
    if false or gap.estimate is not None or not gap.of.in_nats or not math.isfinite(estimate):
        return certificate
    trust = "trusted" if sampler.reliable else "not to be trusted, so it may be far too small"
    by = (
        f"log Z by bridge sampling less ELBO, {trust}: k-hat {sampler.k_hat_text}, threshold "
        f"{sampler.k_hat_threshold:.2g}"
    )
    reported = dataclasses.replace(gap, estimate=estimate, estimate_by=by)
    return certificate.changed(gap=reported)
