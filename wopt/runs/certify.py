"""Certifying a run: on which particles, from what is on disk, and where it is written."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from wopt.certify.certificate import make_certificate
from wopt.certify.effort import Effort, Scope, plan
from wopt.certify.lower import LowerSide
from wopt.certify.options import CertifyOptions
from wopt.certify.remember import remembering
from wopt.certify.resolution import Resolution
from wopt.certify.results import Certificate
from wopt.certify.tries import Tries
from wopt.config.model import validate
from wopt.errors import CertificateError, UserError, WoptError
from wopt.files import write_json
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.mapped import rooms
from wopt.particles import Particles
from wopt.runs.challenge import Challenge, can_be_challenged
from wopt.runs.evidence import evidence_of, is_scored
from wopt.runs.fingerprint import check_data
from wopt.runs.mass import with_mass
from wopt.runs.precise import audited
from wopt.runs.prepare import Prepared, prepare
from wopt.runs.rival import rival_of
from wopt.runs.sampler import with_sampler
from wopt.runs.threads import training_threads
from wopt.runs.two_sample import can_be_compared, compare_samples
from wopt.store.checkpoint import load_state
from wopt.store.directory import RunDirectory
from wopt.store.documents import read_document
from wopt.train.problem import State

__all__ = ["Carried", "certify", "certify_run", "kept_effort"]


def certify_run(
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    seconds: float | None = None,
    against: Path | None = None,
    again: bool = False,
    listener: Listener = SILENT,
) -> Certificate:
    """Certify a run directory anew, write ``certificate.json`` and return what it holds.

    Args:
        path: The run directory.
        options: Options of [certify] to use instead of the run's.
        seconds: CPU seconds that it may take, instead of a share of training's.
        against: A rival: another run, a saved flow, or a table of its log-densities at the test
            rows, which then stands for the challengers.
        again: With the effort that the certificate there records, so that its numbers repeat.
        listener: Told of the work.

    Raises:
        UserError: There is no run, it has no finished step, its data are gone or others.
        DamagedError: It is damaged.
    """
    directory = RunDirectory(path)
    table = directory.read_config()
    if options:
        table = table | {"certify": {**table.get("certify", {}), **options}}
    config = validate(table, str(directory.config))
    with directory.lock():
        with rooms(directory.particles, config.run.memory, passing=True):
            prepared = prepare(config)
            changed = None
            if prepared.loaded is not None:
                changed = check_data(directory, config.source, prepared.loaded)
            start = prepared.train, prepared.valid
            dim, condition = prepared.train.dim, prepared.train.condition
            state = load_state(directory, config, dim, condition, start)
        prepared, state = audited(prepared, state)
        lower = None if against is None else rival_of(prepared, state.blocks, against)
        recorded = _recorded(directory) if again else None
        with training_threads(config):
            certificate = certify(
                prepared, state, listener, lower=lower, seconds=seconds, recorded=recorded
            )
        certificate = with_sampler(certificate, directory)
        if changed is not None:
            listener.warn(changed)
            certificate = dataclasses.replace(certificate, notes=(*certificate.notes, changed))
        write_json(directory.certificate, certificate.to_dict())
    return certificate


@dataclasses.dataclass(frozen=True)
class Recorded:
    """With what a certificate was made.

    Attributes:
        effort: It.
        tries: What challengers were tried, where there were some.
        mass: Draws and rows with which the model's density was integrated; none where it was not.
    """

    effort: Effort
    tries: Tries | None
    mass: tuple[int, int]


def _recorded(directory: RunDirectory) -> Recorded:
    """Return with what a run's certificate was made.

    Raises:
        UserError: There is none.
    """
    made = read_document(directory.certificate, Certificate)
    if made is None:
        raise UserError(f"{directory.path} has no certificate that could be repeated")
    tries = None if made.challengers is None else made.challengers.tries
    return Recorded(made.effort, tries, (made.mass.draws, made.mass.rows) if made.mass else (0, 0))


def kept_effort(directory: RunDirectory, options: CertifyOptions, step: int) -> Recorded | None:
    """Return with what the certificate of a run that has ended was made, so that it repeats.

    Efforts are chosen by the clock: another one would be another certificate of the same run.

    Args:
        directory: The run.
        options: What is asked for now; where that is something else there is none.
        step: Of its last step.
    """
    try:
        made = read_document(directory.certificate, Certificate)
    except WoptError:  # it is made anew
        return None
    if made is None or not made.steps or made.steps[-1].step != step:
        return None
    effort = made.effort
    wishes = (options.particles, options.iterations, options.score_rows)
    had = (effort.particles, effort.iterations, effort.score_rows)
    fits = all(wish in (None, one) for wish, one in zip(wishes, had, strict=True))
    if not fits or (effort.challenge is not None and not options.challenge):
        return None
    return _recorded(directory)


@dataclasses.dataclass(frozen=True)
class Carried:
    """What a run has done before it is certified.

    Attributes:
        blocks: Its maps, which remember the audited images of all test rows.
        seconds: Processor seconds since training, with those of the report to come: a part of the
            budget.
    """

    blocks: list[FlowBlock]
    seconds: float


@contextlib.contextmanager
def _solvable() -> Iterator[None]:
    """Say of equations without a solution that there is no certificate; the run stands.

    Raises:
        CertificateError: Equations of a measurement are singular, or not finite.
    """
    try:
        yield
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise CertificateError(
            "particles lie so that what is fitted to them has no solution "
            f"({str(error).removeprefix('torch.')[:200]}): values that are many sizes apart, or as "
            "many columns as rows. Take logarithms, more rows, or a stop after fewer steps"
        ) from error


@_solvable()
def certify(
    prepared: Prepared,
    state: State,
    listener: Listener = SILENT,
    *,
    particles: Particles | None = None,
    options: dict[str, Any] | None = None,
    lower: LowerSide | None = None,
    seconds: float | None = None,
    recorded: Recorded | None = None,
    carried: Carried | None = None,
) -> Certificate:
    """Return the certificate of a run at a state, within the budget.

    Args:
        prepared: The run's data and parts.
        state: With its maps, and a record a map.
        listener: Told of the work, and beforehand of what it will cost.
        particles: At the start, not trained on, to measure on instead of the run's choice.
        options: Options of [certify] to use instead of the run's.
        lower: What challengers found already.
        seconds: CPU seconds that it may take, instead of a share of training's.
        recorded: With what to make it, instead of what fits the budget.
        carried: What was done already.

    Raises:
        CertificateError: What is fitted to the particles has no solution.
        UserError: The run has no steps.
    """
    if not state.blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    settings = prepared.config.certify.with_options(**(options or {}))
    by_rows = particles is None and prepared.dataset is not None
    scope = _scope(prepared, settings, particles, carried)
    if recorded is None:
        asked = dataclasses.replace(scope, challenged=scope.challenged and lower is None)
        budget = _budget(state, settings, seconds, carried)
        effort = plan(settings, prepared.problem, state.blocks, prepared.valid, budget, asked)
    else:
        effort = recorded.effort
    listener.phase(effort.text)
    # Challengers, resolutions and certificate look at the same rows.
    known = remembering(state.blocks if carried is None else carried.blocks, parts=True)
    resolution = tuple[Resolution, ...]()
    if scope.challenged:
        match = Challenge(prepared, known, state, effort.judges)
        resolution = match.at_resolutions(settings.level, effort.particles)
        tries = None if recorded is None else recorded.tries
        lower = lower or _challenged(match, effort.challenge, settings.level, tries, listener)
    evidence = evidence_of(prepared, particles, effort, scope.scored)
    certificate = make_certificate(
        prepared.problem, known, state.records, evidence, settings,
        effort=effort, lower=lower, resolution=resolution, listener=listener,
    )  # fmt: skip
    if by_rows:
        counts = None if recorded is None else recorded.mass
        certificate = with_mass(certificate, prepared, state.blocks, listener, counts)
    return _compared(certificate, prepared, state.blocks, listener)


def _scope(
    prepared: Prepared,
    settings: CertifyOptions,
    particles: Particles | None,
    carried: Carried | None,
) -> Scope:
    """Return what can be measured of a run: on given particles first-order errors alone."""
    data, rows = prepared.dataset, _rows(prepared, particles)
    if particles is not None or data is None:
        return Scope(rows=rows)
    return Scope(
        scored=is_scored(prepared, settings),
        challenged=settings.challenge and can_be_challenged(prepared),
        compared=settings.two_sample and can_be_compared(prepared),
        rows=rows,
        carried=0 if carried is None else len(data.test),
    )


def _rows(prepared: Prepared, particles: Particles | None) -> int | None:
    """Return how many particles there are to measure on; ``None`` where they can be drawn."""
    data = prepared.dataset
    if particles is not None or data is None:
        return len(prepared.valid if particles is None else particles)
    return None if data.sample is not None else len(data.test) + len(data.valid)


def _budget(
    state: State, settings: CertifyOptions, seconds: float | None, carried: Carried | None
) -> float:
    """Return the seconds that a certificate may take; 0 for any."""
    if seconds is not None or not settings.budget:
        return seconds or 0.0
    trained = sum(record.cpu_seconds for record in state.records)
    spent = 0.0 if carried is None else carried.seconds
    return max(settings.budget * trained - spent, 1e-3)


def _challenged(
    match: Challenge, seconds: float | None, level: float, tries: Tries | None, listener: Listener
) -> LowerSide | None:
    """Return the lower side; where it cannot be had the certificate says so, and the run stands."""
    if seconds is None:
        return None
    listener.phase("challenging the model")
    try:
        return match.lower_side(seconds, level, tries)
    except WoptError as error:
        listener.warn(f"no challengers: {error}")
        return None


def _compared(
    certificate: Certificate, prepared: Prepared, blocks: Sequence[FlowBlock], listener: Listener
) -> Certificate:
    """Return the certificate with what two-sample tests say of the samples, if there is time."""
    if not certificate.effort.two_sample:
        return certificate
    listener.phase("comparing samples with held-out rows")
    try:
        rows = certificate.effort.two_sample or 0
        alike = compare_samples(prepared, blocks, certificate.level, rows)
    except WoptError as error:
        listener.warn(f"no two-sample tests: {error}")
        return certificate
    return dataclasses.replace(
        certificate,
        two_sample=alike.test,
        conditional=alike.conditional,
        notes=(*certificate.notes, *alike.notes),
    )
