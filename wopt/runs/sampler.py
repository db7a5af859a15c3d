"""The headline of a sampler whose target is not normalised: what its weights say of KL."""

from __future__ import annotations

import dataclasses

from wopt.certify.results import Certificate
from wopt.store.directory import RunDirectory
from wopt.store.documents import read_document
from wopt.store.result import RunResult

__all__ = ["with_sampler"]


def with_sampler(certificate: Certificate, directory: RunDirectory) -> Certificate:
    """Return the certificate with KL(model | target) = log Z - ELBO, where nothing better is known.

    log Z is that by importance sampling, so the figure is an estimate, and says whether the
    weights can be trusted.

    Args:
        certificate: Of the run.
        directory: Of the run, whose results hold what was measured of the sampler.
    """
    result = read_document(directory.result, RunResult)
    if result is None:
        return certificate
    sampler, gap = result.to_dict().get("sampler"), certificate.gap
    false = any(step.gap is not None and step.gap.impossible for step in certificate.steps)
    if not sampler or false or gap.estimate is not None or not gap.of.in_nats:
        return certificate
    elbo, log_z = sampler.get("elbo"), sampler.get("log_z")
    if elbo is None or log_z is None:  # not finite
        return certificate
    k_hat, threshold = sampler.get("k_hat"), sampler["k_hat_threshold"]
    trust = "trusted" if sampler["reliable"] else "not to be trusted, so it may be far too small"
    by = (
        f"log Z by importance sampling less ELBO, {trust}: k-hat "
        f"{'infinite' if k_hat is None else format(k_hat, '.2g')}, threshold {threshold:.2g}"
    )
    told = dataclasses.replace(gap, estimate=log_z - elbo, estimate_by=by)
    return certificate.changed(gap=told)
