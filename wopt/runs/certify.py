"""Certifying a run: on which particles, from what is on disk, and where it is written."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.certify.certificate import make_certificate
from wopt.certify.certifier import Certifier
from wopt.certify.effort import Effort, plan
from wopt.certify.evidence import Evidence
from wopt.certify.gap import Resolution
from wopt.certify.lower import LowerSide
from wopt.certify.results import Certificate
from wopt.certify.score import obeys_stein, score_of
from wopt.config.model import validate
from wopt.data.dataset import Dataset
from wopt.data.smooth import smooth_dataset
from wopt.errors import WoptError
from wopt.files import write_json
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.particles import Particles
from wopt.runs.challenge import Challenge, can_be_challenged
from wopt.runs.prepare import Prepared, place, prepare
from wopt.runs.rival import rival_of
from wopt.seeds import derive, generator
from wopt.store.checkpoint import load_blocks, load_state
from wopt.store.directory import RunDirectory
from wopt.train.problem import State

__all__ = ["certify", "certify_run"]

_LEAST_JUDGES = 2_000
"""Rows that judge challengers at the least, however small the budget."""

_PAIRWISE_ROWS = 4000
"""Particles at most where the energy is no mean over particles, so its cost may be quadratic."""


def certify_run(
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    seconds: float | None = None,
    against: Path | None = None,
    listener: Listener | None = None,
) -> Certificate:
    """Certify a run directory anew, write ``certificate.json`` and return what it holds.

    Args:
        path: The run directory.
        options: Options of the certifier to use instead of the run's.
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
    dataset = config.source.load(derive(config.seed, "source"))
    prepared = prepare(config, dataset)
    state = load_state(directory, config, dataset.dim, dataset.condition)
    blocks = load_blocks(directory, config, dataset.dim, dataset.condition)
    lower = None if against is None else rival_of(prepared, blocks, against)
    found = certify(prepared, blocks, state, listener, lower=lower, seconds=seconds)
    write_json(directory.certificate, found.to_dict())
    return found


def certify(
    prepared: Prepared,
    blocks: list[FlowBlock],
    state: State,
    listener: Listener | None = None,
    *,
    particles: Particles | None = None,
    options: dict[str, Any] | None = None,
    lower: LowerSide | None = None,
    seconds: float | None = None,
) -> Certificate:
    """Return the certificate of a run at a state, within the budget.

    Args:
        prepared: The run's data and parts.
        blocks: Its maps.
        state: With a record a map.
        listener: Told of the work, and beforehand of what it will cost.
        particles: At the start, not trained on, to measure on instead of the run's choice.
        options: Options of the certifier to use instead of the run's.
        lower: What challengers found already.
        seconds: CPU seconds that it may take, instead of a share of training's.
    """
    told, certifier = listener or Listener(), prepared.config.certify
    if options:
        certifier = Certifier(**{**certifier.options, **options})
    chosen = particles is None and prepared.dataset is not None
    scored = chosen and _scored(prepared, certifier)
    trained = sum(record.cpu_seconds for record in state.records)
    if seconds is not None:
        trained = seconds / (certifier.budget or 1.0)
    challenged = certifier.challenge and particles is None and can_be_challenged(prepared)
    effort = plan(
        certifier,
        prepared.problem,
        blocks,
        prepared.valid,
        trained,
        scored=scored,
        challenged=challenged and lower is None,
    )
    told.phase(effort.text)
    if particles is not None:
        evidence = _given(prepared, particles, "particles that were given")
    elif prepared.dataset is None:
        evidence = _given(prepared, prepared.valid, "held-out particles")
    else:
        evidence = _evidence(prepared, prepared.dataset, effort, scored)
    resolution: tuple[Resolution, ...] = ()
    if challenged:
        match = Challenge(prepared, blocks, state, max(_LEAST_JUDGES, effort.particles))
        resolution = match.at_resolutions(certifier.level)
        if effort.challenge is not None:
            told.phase("challenging the model")
            lower = _challenged(match, effort.challenge, certifier.level, told)
    return make_certificate(
        prepared.problem,
        blocks,
        state.records,
        evidence,
        certifier,
        effort=effort,
        lower=lower,
        resolution=resolution,
        listener=told,
    )


def _challenged(match: Challenge, seconds: float, level: float, told: Listener) -> LowerSide | None:
    """Return the lower side; where it cannot be had the certificate says so, and the run stands."""
    try:
        return match.lower_side(seconds, level)
    except WoptError as error:
        told.warn(f"no challengers: {error}")
        return None


def _given(prepared: Prepared, at: Particles, origin: str) -> Evidence:
    return Evidence(at, origin, None, prepared.transform, 0.0, at.points, _model(prepared))


def _model(prepared: Prepared) -> Literal["pull_back", "push_forward"]:
    return "push_forward" if prepared.pushes else "pull_back"


def _evidence(prepared: Prepared, raw: Dataset, effort: Effort, scored: bool) -> Evidence:
    """Choose the particles: fresh ones if the start can be drawn from, else held-out rows.

    Never training rows: the maps were fitted to them, so their residual is too small.
    """
    config, count = prepared.config, effort.particles
    objective = prepared.problem.objective
    if objective.contributions(prepared.valid.rows(slice(2))) is None:
        count = min(count, _PAIRWISE_ROWS)
    if raw.sample is not None:
        drawn = raw.sample(count, generator(config.seed, "certify", "particles"))
        origin = "fresh draws of the start"
    else:
        drawn = torch.cat([raw.test, raw.valid])[:count]
        origin = "test and validation rows"
    part = dataclasses.replace(raw, train=drawn[:1], valid=drawn[:1], test=drawn)
    start = smooth_dataset(part, config.smooth_time, derive(config.seed, "certify", "smooth"))
    rows = start.test
    score, remarks = None, tuple[str, ...]()
    if scored:
        score, remarks = _score(raw, rows[: effort.score_rows])
    return Evidence(
        particles=place(start, rows, config, known=True),
        origin=origin,
        score=score,
        transform=raw.transform,
        smooth_time=config.smooth_time,
        data=raw.transform(drawn),
        model=_model(prepared),
        remarks=remarks,
    )


def _scored(prepared: Prepared, certifier: Certifier) -> bool:
    """Return whether the start's score is to be pushed through the maps: it has to be known."""
    wanted = certifier.score_rows != 0 and prepared.config.smooth_time == 0
    needed = bool(Need.LOG_DET & prepared.problem.objective.needs)
    dataset = prepared.dataset
    return wanted and needed and dataset is not None and dataset.log_density is not None


def _score(dataset: Dataset, rows: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the start's score in the flow's coordinates at the rows, or why there is none."""
    assert dataset.log_density is not None
    left_out = "The pushed score is left out, so eps is what test fields see: "
    try:
        found = score_of(dataset.log_density, rows)
    except (RuntimeError, WoptError) as error:  # a density that autograd cannot follow
        return None, (f"{left_out}the start's density cannot be differentiated ({error}).",)
    if found is None:
        return None, (f"{left_out}the start's density has no finite gradient.",)
    if not obeys_stein(found, rows):
        return None, (f"{left_out}the start's density has jumps, its gradient is not its score.",)
    return found @ dataset.transform.inverse_matrix, ()
