"""Certifying runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wopt.config import validate
from wopt.errors import CertificateError, UserError, WoptError
from wopt.files import write_json
from wopt.interfaces import SILENT, Budget, FinishedRun, Listener, Measurement
from wopt.mapped import memmap_scope
from wopt.runs import audited, build_problem, check_data, training_threads
from wopt.runtime import Runtime
from wopt.store import RunDirectory, RunResult, load_state, read_document
from wopt.train import remembering
from wopt.typed import Typed
from wopt_certify.certificate import without_steps
from wopt_certify.challenge.of_run import Rivals
from wopt_certify.evidence import FirstOrder
from wopt_certify.gap import LowerSide
from wopt_certify.held_out import SampleComparison, TwoSample
from wopt_certify.mass import Mass, TotalMass
from wopt_certify.options import Certify, settings_of
from wopt_certify.resolution import ResolutionReport, Resolutions
from wopt_certify.results import Certificate
from wopt_certify.rival import rival_of


def certify_run(
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    seconds: float | None = None,
    against: Path | None = None,
    again: bool = False,
    listener: Listener = SILENT,
) -> Certificate:
    """Certify a run directory, write ``certificate.json`` and return the certificate.

    Args:
        options: Options of [certify] that replace the run's.
        seconds: Budget in CPU seconds, instead of a fraction of training's.
        against: A rival: another run, a saved flow, or a table of its log-densities at the test
            rows, which then replaces the challengers.
        again: Whether to repeat the recorded effort of the existing certificate, for equal numbers.
    """
    directory = RunDirectory(path)
    table = directory.read_config()
    if options:
        table = table | {"certify": {**table.get("certify", {}), **options}}
    config = validate(table, str(directory.config))
    with directory.lock():
        with memmap_scope(directory.particles, config.run.memory, passing=True) as memory:
            prepared = build_problem(config, runtime=Runtime(memory=memory))
            changed = None
            if prepared.loaded is not None:
                changed = check_data(directory, config.source, prepared.loaded)
            start = prepared.train, prepared.valid
            dim, condition = prepared.train.dim, prepared.train.condition
            state = load_state(directory, config, dim, condition, start, prepared.runtime)
        prepared, state = audited(prepared, state)
        lower = None if against is None else rival_of(prepared, state.blocks, against)
        recorded = _recorded(directory) if again else None
        notes = () if changed is None else (changed,)
        run = FinishedRun(prepared, state, listener, directory, lower=lower, notes=notes)
        with training_threads(config):
            budget = None if seconds is None else Budget(seconds)
            certificate = certify(settings_of(run), run, budget, recorded)
        if changed is not None:
            listener.warn(changed)
        write_json(directory.certificate, certificate.to_dict())
    return certificate


def _recorded(directory: RunDirectory) -> Certificate:
    """Return a run's certificate, or raise if there is none."""
    made = read_document(directory.certificate, Certificate)
    if made is None:
        raise UserError(f"{directory.path} has no certificate that could be repeated")
    return made


def fits(made: Certificate, options: Certify, step: int) -> bool:
    """Return whether the counts of an existing certificate can be repeated.

    Args:
        step: Number of the run's last step.
    """
    if not made.steps or made.steps[-1].step != step:
        return False
    effort = made.effort
    asked = (options.particles, options.iterations, options.score_rows)
    had = (effort.particles, effort.iterations, effort.score_rows)
    kept = all(value in (None, one) for value, one in zip(asked, had, strict=True))
    return kept and (made.challengers is None or options.challenge)


def parts(options: Certify, run: FinishedRun) -> list[tuple[Measurement, float]]:
    """Return what a certificate is made of, in order, each with its share of the budget.

    What one leaves goes to those after it. On particles that are given, first-order errors alone.
    """
    first = (FirstOrder(), 0.35)
    if run.particles is not None or run.prepared.dataset is None:
        return [first]
    # Test rows whose images are known cost nothing more.
    rows = None if run.blocks is None else max(len(run.prepared.dataset.test), 2000)
    challenged = [(Rivals(rows=rows), 0.35)] if options.challenge and run.lower is None else []
    tested = [(TwoSample(), 0.2)] if options.two_sample else []
    resolved = [(Resolutions(), 0.05)] if options.challenge else []
    return [*challenged, first, *tested, (Mass(), 0.05), *resolved]


def certify(
    options: Certify,
    run: FinishedRun,
    budget: Budget | None = None,
    recorded: Certificate | None = None,
) -> Certificate:
    """Return the certificate of a run: its parts, within one budget.

    A part that fails is reported and left out.

    Args:
        options: Options that replace the run's ``[certify]``.
        budget: CPU seconds, instead of a share of training's.
        recorded: A certificate whose counts are repeated, instead of those that fit the budget.
    """
    if not run.state.blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    budget = _budget(options, run) if budget is None and recorded is None else budget
    made, failed, asked = dict[str, Typed](), list[str](), parts(options, run)
    run = _with_options(run, options)
    shares = [share for _, share in asked]
    for k, (part, share) in enumerate(asked):
        left = None if budget is None or budget.left is None else budget.left
        own = None if left is None else Budget(left * share / sum(shares[k:]))
        document = _measured(part, run, own, recorded, failed)
        if document is not None:
            made[type(part).__name__] = document
        if isinstance(document, LowerSide):
            run = dataclasses.replace(run, lower=document)
    return _together(options, run, made, failed)


def _measured(
    part: Measurement,
    run: FinishedRun,
    budget: Budget | None,
    recorded: Certificate | None,
    failed: list[str],
) -> Typed | None:
    """Return the document of a part; ``None`` where it does not apply or fails, which is told."""
    words, counts = _PARTS[type(part).__name__]
    if recorded is not None and not counts(recorded):
        return None
    try:
        return None if part.applies(run) else part.measure(run, budget, recorded)
    except Exception as error:  # whatever it is, the run and the other parts stand
        what = str(error) if isinstance(error, WoptError) else f"{type(error).__name__}: {error}"
        failed.append(f"{words}: {what[:300]}")
        run.listener.warn(f"no {failed[-1]}")
        return None


_PARTS: dict[str, tuple[str, Callable[[Certificate], Any]]] = {
    "Rivals": ("challengers", lambda made: made.challengers),
    "FirstOrder": ("first-order errors", lambda made: made.effort),
    "TwoSample": ("two-sample tests", lambda made: made.effort.two_sample),
    "Mass": ("integral of the model's density", lambda made: made.mass),
    "Resolutions": ("resolutions", lambda made: made.effort.resolution),
}
"""Words for a part, and where a certificate keeps its counts; nothing if it was not made."""


def _together(
    options: Certify, run: FinishedRun, made: dict[str, Typed], failed: list[str]
) -> Certificate:
    """Return the certificate of the documents of its parts."""
    certificate = made.get("FirstOrder")
    if not isinstance(certificate, Certificate):
        if not made:
            raise CertificateError("; ".join(failed))
        certificate = without_steps(run.prepared, run.lower, options)
    mass, compared, resolved = (made.get(k) for k in ("Mass", "TwoSample", "Resolutions"))
    notes = [*certificate.notes, *(f"Not measured: {text}." for text in failed), *run.notes]
    changes: dict[str, Any] = {}
    if isinstance(mass, TotalMass):
        changes["mass"] = mass
        if not mass.is_one:
            run.listener.warn(mass.text())
            notes = [mass.text(), *notes]
    if isinstance(compared, SampleComparison):
        changes |= {"two_sample": compared.test, "conditional": compared.conditional}
        notes += compared.notes
    if isinstance(resolved, ResolutionReport):
        changes["resolution"] = resolved.each
    effort = dataclasses.replace(
        certificate.effort,
        two_sample=compared.rows if isinstance(compared, SampleComparison) else None,
        resolution=resolved.rows if isinstance(resolved, ResolutionReport) else None,
        left_out="; ".join(failed),
    )
    certificate = certificate.changed(**changes, effort=effort, notes=tuple(notes))
    return certificate if run.directory is None else _with_sampler(certificate, run.directory)


def _with_sampler(certificate: Certificate, directory: RunDirectory) -> Certificate:
    """Return the certificate with KL(model | target) = log Z - ELBO, if no better one is known.

    log Z is that by importance sampling, so the value is an estimate, and the text says whether the
    weights can be trusted.
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


def _budget(options: Certify, run: FinishedRun) -> Budget:
    """Return the budget of a certificate: a share of training, less what was spent since."""
    if not options.budget:
        return Budget()
    trained = sum(record.cpu_seconds for record in run.state.records)
    return Budget(max(options.budget * trained - run.spent, 0.0))


def _with_options(run: FinishedRun, options: Certify) -> FinishedRun:
    """Return the run with these options of ``[certify]``, and with maps that remember images."""
    config = run.prepared.config.model_copy(update={"certify": options})
    prepared = dataclasses.replace(run.prepared, config=config)
    return dataclasses.replace(run, prepared=prepared, blocks=remembering(run.maps, parts=True))
