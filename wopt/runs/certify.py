"""Certifying a run: on which particles, from what is on disk, and where it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wopt.certify.certificate import make_certificate
from wopt.certify.effort import Effort, plan
from wopt.certify.lower import LowerSide
from wopt.certify.options import CertifyOptions
from wopt.certify.resolution import Resolution
from wopt.certify.results import Certificate
from wopt.config.model import validate
from wopt.errors import UserError, WoptError
from wopt.files import write_json
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.particles import Particles
from wopt.runs.challenge import Challenge, can_be_challenged
from wopt.runs.evidence import evidence_of, is_scored
from wopt.runs.mass import with_mass
from wopt.runs.prepare import Prepared, prepare
from wopt.runs.rival import rival_of
from wopt.runs.sampler import with_sampler
from wopt.runs.two_sample import can_be_compared, compare_samples
from wopt.store.checkpoint import load_state
from wopt.store.directory import RunDirectory
from wopt.train.problem import State

__all__ = ["certify", "certify_run"]

_LEAST_JUDGES = 2_000
"""Rows that judge challengers at the least, however small the budget."""


def certify_run(
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    seconds: float | None = None,
    against: Path | None = None,
    listener: Listener = SILENT,
) -> Certificate:
    """Certify a run directory anew, write ``certificate.json`` and return what it holds.

    Args:
        path: The run directory.
        options: Options of [certify] to use instead of the run's.
        seconds: CPU seconds that it may take, instead of a share of training's.
        against: A rival: another run, a saved flow, or a table of its log-densities at the test
            rows, which then stands for the challengers.
        listener: Told of the work.

    Raises:
        UserError: There is no run, it has no finished step, or its data are gone.
        RunError: It is damaged.
    """
    directory = RunDirectory(path)
    table = directory.read_config()
    if options:
        table = table | {"certify": {**table.get("certify", {}), **options}}
    config = validate(table, str(directory.config))
    prepared = prepare(config)
    start = prepared.train, prepared.valid
    state = load_state(directory, config, prepared.train.dim, prepared.train.condition, start)
    lower = None if against is None else rival_of(prepared, state.blocks, against)
    certificate = certify(prepared, state, listener, lower=lower, seconds=seconds)
    certificate = with_sampler(certificate, directory)
    write_json(directory.certificate, certificate.to_dict())
    return certificate


def certify(
    prepared: Prepared,
    state: State,
    listener: Listener = SILENT,
    *,
    particles: Particles | None = None,
    options: dict[str, Any] | None = None,
    lower: LowerSide | None = None,
    seconds: float | None = None,
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

    Raises:
        UserError: The run has no steps.
    """
    if not state.blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    settings = prepared.config.certify.with_options(**(options or {}))
    by_rows = particles is None and prepared.dataset is not None
    scored = by_rows and is_scored(prepared, settings)
    challenged = by_rows and settings.challenge and can_be_challenged(prepared)
    trained = _trained(state, settings, seconds)
    effort = plan(
        settings, prepared.problem, state.blocks, prepared.valid, trained, scored=scored,
        challenged=challenged and lower is None,
        compared=by_rows and settings.two_sample and can_be_compared(prepared),
    )  # fmt: skip
    listener.phase(effort.text)
    resolution = tuple[Resolution, ...]()
    if challenged:
        lower, resolution = _challenged(prepared, state, effort, settings.level, lower, listener)
    evidence = evidence_of(prepared, particles, effort, scored)
    certificate = make_certificate(
        prepared.problem, state.blocks, state.records, evidence, settings,
        effort=effort, lower=lower, resolution=resolution, listener=listener,
    )  # fmt: skip
    if by_rows:
        certificate = with_mass(certificate, prepared, state.blocks, listener)
    return _compared(certificate, prepared, state.blocks, listener)


def _trained(state: State, settings: CertifyOptions, seconds: float | None) -> float:
    """Return the seconds of training of which a certificate takes its share."""
    if seconds is not None:
        return seconds / (settings.budget or 1.0)
    return sum(record.cpu_seconds for record in state.records)


def _challenged(
    prepared: Prepared,
    state: State,
    effort: Effort,
    level: float,
    lower: LowerSide | None,
    listener: Listener,
) -> tuple[LowerSide | None, tuple[Resolution, ...]]:
    """Return the lower side, that known already or a new one, and both sides at resolutions.

    Where a new one cannot be had the certificate says so, and the run stands.
    """
    match = Challenge(prepared, state.blocks, state, max(_LEAST_JUDGES, effort.particles))
    resolution = match.at_resolutions(level, effort.particles)
    if lower is not None or effort.challenge is None:
        return lower, resolution
    listener.phase("challenging the model")
    try:
        return match.lower_side(effort.challenge, level), resolution
    except WoptError as error:
        listener.warn(f"no challengers: {error}")
        return None, resolution


def _compared(
    certificate: Certificate, prepared: Prepared, blocks: Sequence[FlowBlock], listener: Listener
) -> Certificate:
    """Return the certificate with what two-sample tests say of the samples, if there is time."""
    if not certificate.effort.two_sample:
        return certificate
    listener.phase("comparing samples with held-out rows")
    try:
        alike = compare_samples(prepared, blocks, certificate.level)
    except WoptError as error:
        listener.warn(f"no two-sample tests: {error}")
        return certificate
    return dataclasses.replace(
        certificate,
        two_sample=alike.test,
        conditional=alike.conditional,
        notes=(*certificate.notes, *alike.notes),
    )
