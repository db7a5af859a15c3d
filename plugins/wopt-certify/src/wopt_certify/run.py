"""Certifying runs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from wopt.config import validate
from wopt.errors import CertificateError, UserError, WoptError
from wopt.files import write_json
from wopt.interfaces import SILENT, Budget, FinishedRun, FlowBlock, Listener
from wopt.mapped import memmap_scope
from wopt.particles import Particles
from wopt.runs import Prepared, audited, build, check_data, training_threads
from wopt.runtime import Runtime
from wopt.store import RunDirectory, load_state, read_document
from wopt.train import State, remembering
from wopt_certify.certificate import make_certificate
from wopt_certify.challenge.of_run import Challenge, can_be_challenged, rival_of
from wopt_certify.effort import Effort, Scope, effort_within_budget
from wopt_certify.held_out import can_be_compared, compare_samples, evidence_of, is_scored
from wopt_certify.lower import LowerSide
from wopt_certify.mass import with_mass
from wopt_certify.options import Certify
from wopt_certify.resolution import Resolution
from wopt_certify.results import Certificate
from wopt_certify.sampler import with_sampler

__all__ = ["Carried", "certify", "certify_finished", "certify_run", "kept_effort"]


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
        path: The run directory.
        options: Options of [certify] that replace the run's.
        seconds: Budget in CPU seconds, instead of a fraction of training's.
        against: A rival: another run, a saved flow, or a table of its log-densities at the test
            rows, which then replaces the challengers.
        again: Whether to repeat the recorded effort of the existing certificate, for equal numbers.
        listener: Receives messages on progress.

    Raises:
        UserError: The run does not exist, has no finished step, or its data are missing or changed.
        DamagedError: The run is damaged.
    """
    directory = RunDirectory(path)
    table = directory.read_config()
    if options:
        table = table | {"certify": {**table.get("certify", {}), **options}}
    config = validate(table, str(directory.config))
    with directory.lock():
        with memmap_scope(directory.particles, config.run.memory, passing=True) as memory:
            prepared = build(config, runtime=Runtime(memory=memory))
            changed = None
            if prepared.loaded is not None:
                changed = check_data(directory, config.source, prepared.loaded)
            start = prepared.train, prepared.valid
            dim, condition = prepared.train.dim, prepared.train.condition
            state = load_state(directory, config, dim, condition, start, prepared.runtime)
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
    """The recorded effort of a certificate.

    Attributes:
        effort: Effort of the measurements.
        tried: Number of challengers that were tried, or ``None``.
        mass: Numbers of draws and rows that integrated the model's density; zeros if none did.
    """

    effort: Effort
    tried: int | None
    mass: tuple[int, int]


def _recorded(directory: RunDirectory) -> Recorded:
    """Return the recorded effort of a run's certificate, or raise if there is no certificate."""
    made = read_document(directory.certificate, Certificate)
    if made is None:
        raise UserError(f"{directory.path} has no certificate that could be repeated")
    return _effort_of(made)


def _effort_of(made: Certificate) -> Recorded:
    tried = None if made.challengers is None else made.challengers.tried
    return Recorded(made.effort, tried, (made.mass.draws, made.mass.rows) if made.mass else (0, 0))


def kept_effort(made: Certificate | None, options: Certify, step: int) -> Recorded | None:
    """Return the recorded effort of a finished run's certificate, so that it can be repeated.

    Efforts depend on the clock: another effort would give another certificate of the same run.

    Args:
        made: The existing certificate, or ``None``.
        options: Present options; if they do not fit the recorded effort, the result is ``None``.
        step: Number of the run's last step.
    """
    if made is None or not made.steps or made.steps[-1].step != step:
        return None
    effort = made.effort
    wishes = (options.particles, options.iterations, options.score_rows)
    had = (effort.particles, effort.iterations, effort.score_rows)
    fits = all(wish in (None, one) for wish, one in zip(wishes, had, strict=True))
    if not fits or (effort.challenge is not None and not options.challenge):
        return None
    return _effort_of(made)


def certify_finished(
    options: Certify, run: FinishedRun, budget: Budget | None, recorded: Certificate | None
) -> Certificate:
    """Return the certificate of a run, see :class:`wopt_certify.options.Certify`."""
    state = run.state
    kept = kept_effort(recorded, options, state.records[-1].step) if state.records else None
    carried = None if run.blocks is None else Carried(list(run.blocks), run.spent)
    certificate = certify(
        run.prepared, state, run.listener,
        particles=run.particles, settings=options, lower=run.lower, recorded=kept,
        carried=carried, seconds=None if budget is None else budget.seconds,
    )  # fmt: skip
    if run.directory is not None:
        certificate = with_sampler(certificate, run.directory)
    return dataclasses.replace(certificate, notes=(*certificate.notes, *run.notes))


@dataclasses.dataclass(frozen=True)
class Carried:
    """Work that was done before the certificate.

    Attributes:
        blocks: The run's maps, which remember the audited images of all test rows.
        seconds: CPU seconds since training, including those of the report to come; they count
            towards the budget.
    """

    blocks: list[FlowBlock]
    seconds: float


@contextlib.contextmanager
def _solvable() -> Iterator[None]:
    """Turn an error of linear algebra into a CertificateError."""
    try:
        yield
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise CertificateError(
            "the equations that fit the particles have no solution "
            f"({str(error).removeprefix('torch.')[:200]}): values of very different sizes, or as "
            "many columns as rows. Take logarithms, more rows, or a stop after fewer steps"
        ) from error


@_solvable()
def certify(
    prepared: Prepared,
    state: State,
    listener: Listener = SILENT,
    *,
    particles: Particles | None = None,
    settings: Certify | None = None,
    lower: LowerSide | None = None,
    seconds: float | None = None,
    recorded: Recorded | None = None,
    carried: Carried | None = None,
) -> Certificate:
    """Return the certificate of a run at a state, within the budget.

    Args:
        prepared: The run's data and parts.
        state: The state, with its maps and a record for each map.
        listener: Receives messages on progress and, beforehand, on cost.
        particles: Particles of the start, not trained on, to use instead of the run's choice.
        settings: Options that replace the run's ``[certify]``.
        lower: Lower side that challengers have already found.
        seconds: CPU seconds that it may take, instead of a share of training's.
        recorded: Effort to repeat, instead of one that fits the budget.
        carried: Work that was already done.

    Raises:
        CertificateError: Equations that fit the particles have no solution.
        UserError: The run has no steps.
    """
    if not state.blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    settings = settings or _settings(prepared)
    by_rows = particles is None and prepared.dataset is not None
    scope = _scope(prepared, settings, particles, carried)
    if recorded is None:
        asked = dataclasses.replace(scope, challenged=scope.challenged and lower is None)
        budget = _budget(state, settings, seconds, carried)
        effort = effort_within_budget(
            settings, prepared.problem, state.blocks, prepared.valid, budget, asked
        )
    else:
        effort = recorded.effort
    listener.phase(effort.text)
    # Challengers, resolutions and certificate use the same rows.
    known = remembering(state.blocks if carried is None else carried.blocks, parts=True)
    resolution = tuple[Resolution, ...]()
    if scope.challenged:
        match = Challenge(prepared, known, state, effort.judges)
        resolution = match.at_resolutions(settings.level, effort.particles)
        tried = None if recorded is None else recorded.tried
        lower = lower or _challenged(match, effort.challenge, settings.level, tried, listener)
    evidence = evidence_of(prepared, particles, effort, scope.scored)
    certificate = make_certificate(
        prepared.problem, known, state.records, evidence, settings,
        effort=effort, lower=lower, resolution=resolution, listener=listener,
    )  # fmt: skip
    if by_rows:
        counts = None if recorded is None else recorded.mass
        certificate = with_mass(certificate, prepared, state.blocks, listener, counts)
    return _compared(certificate, prepared, state.blocks, listener)


def _settings(prepared: Prepared) -> Certify:
    """Return the options of the run's ``[certify]``, or the default ones."""
    chosen = prepared.config.certify
    return chosen if isinstance(chosen, Certify) else Certify()


def _scope(
    prepared: Prepared,
    settings: Certify,
    particles: Particles | None,
    carried: Carried | None,
) -> Scope:
    """Return which measurements are possible; on given particles first-order errors alone."""
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
    """Return the number of particles for measuring; ``None`` where they can be drawn."""
    data = prepared.dataset
    if particles is not None or data is None:
        return len(prepared.valid if particles is None else particles)
    return None if data.sample is not None else len(data.test) + len(data.valid)


def _budget(
    state: State, settings: Certify, seconds: float | None, carried: Carried | None
) -> float:
    """Return the budget of a certificate in CPU seconds; 0 for no limit."""
    if seconds is not None or not settings.budget:
        return seconds or 0.0
    trained = sum(record.cpu_seconds for record in state.records)
    spent = 0.0 if carried is None else carried.seconds
    return max(settings.budget * trained - spent, 1e-3)


def _challenged(
    match: Challenge,
    seconds: float | None,
    level: float,
    tried: int | None,
    listener: Listener,
) -> LowerSide | None:
    """Return the lower side, or ``None`` with a warning where it fails."""
    if seconds is None:
        return None
    listener.phase("challenging the model")
    try:
        return match.lower_side(Budget(seconds), level, tried)
    except WoptError as error:
        listener.warn(f"no challengers: {error}")
        return None


def _compared(
    certificate: Certificate, prepared: Prepared, blocks: Sequence[FlowBlock], listener: Listener
) -> Certificate:
    """Return the certificate with two-sample tests of the samples, if there is time."""
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
