"""Certifying a run: on which particles, from what is on disk, and where it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from wopt.capabilities import Need
from wopt.certify.certificate import make_certificate
from wopt.certify.certifier import Certifier
from wopt.certify.evidence import Evidence
from wopt.certify.score import obeys_stein, score_of
from wopt.config.model import validate
from wopt.data.dataset import Dataset
from wopt.data.smooth import smooth_dataset
from wopt.errors import WoptError
from wopt.files import write_json
from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles
from wopt.runs.prepare import Prepared, place, prepare
from wopt.seeds import derive, generator
from wopt.store.checkpoint import load_blocks, load_state
from wopt.store.directory import RunDirectory
from wopt.train.problem import State

__all__ = ["certify", "certify_run"]

_PAIRWISE_ROWS = 4000
"""Particles at most where the energy is no mean over particles, so its cost may be quadratic."""


def certify_run(
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Certify a run directory anew, write ``certificate.json`` and return what it holds.

    Args:
        path: The run directory.
        options: Options of the certifier to use instead of the run's.
        progress: Told of the work.

    Raises:
        UserError: There is no run, it has no finished step, or its data are gone.
        RunError: It is damaged.
    """
    directory = RunDirectory(path)
    config = validate(directory.read_config(), str(directory.config))
    dataset = config.source.load(derive(config.seed, "source"))
    prepared = prepare(config, dataset)
    state = load_state(directory, config, dataset.dim, dataset.condition)
    blocks = load_blocks(directory, config, dataset.dim, dataset.condition)
    found = certify(prepared, blocks, state, progress, options=options)
    write_json(directory.certificate, found)
    return found


def certify(
    prepared: Prepared,
    blocks: list[FlowBlock],
    state: State,
    progress: Callable[[int, int], None] | None = None,
    *,
    particles: Particles | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the certificate of a run at a state.

    Args:
        prepared: The run's data and parts.
        blocks: Its maps.
        state: With a record a map.
        progress: Told of the work.
        particles: At the start, not trained on, to measure on instead of the run's choice.
        options: Options of the certifier to use instead of the run's.
    """
    certifier = prepared.config.certify
    if options:
        certifier = Certifier(**{**certifier.options, **options})
    if particles is not None:
        evidence = _given(prepared, particles, "particles that were given")
    elif prepared.dataset is None:
        evidence = _given(prepared, prepared.valid, "held-out particles")
    else:
        evidence = _evidence(prepared, prepared.dataset, certifier)
    return make_certificate(prepared.problem, blocks, state.records, evidence, certifier, progress)


def _given(prepared: Prepared, at: Particles, origin: str) -> Evidence:
    return Evidence(at, origin, None, prepared.transform, 0.0, at.points)


def _evidence(prepared: Prepared, raw: Dataset, certifier: Certifier) -> Evidence:
    """Choose the particles: fresh ones if the start can be drawn from, else held-out rows.

    Never training rows: the maps were fitted to them, so their residual is too small.
    """
    config, count = prepared.config, certifier.particles
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
    return Evidence(
        particles=place(start, rows, config, known=True),
        origin=origin,
        score=_score(prepared, raw, certifier, rows) if config.smooth_time == 0 else None,
        transform=raw.transform,
        smooth_time=config.smooth_time,
        data=raw.transform(drawn),
    )


def _score(
    prepared: Prepared, dataset: Dataset, certifier: Certifier, rows: torch.Tensor
) -> torch.Tensor | None:
    """Return the start's score in the flow's coordinates at the first rows, if it is known."""
    wanted = certifier.score_rows and dataset.dim <= certifier.score_dim
    if not wanted or dataset.log_density is None:
        return None
    if not Need.LOG_DET & prepared.problem.objective.needs:
        return None
    try:
        found = score_of(dataset.log_density, rows[: certifier.score_rows])
    except (RuntimeError, WoptError):  # a density that autograd cannot follow
        return None
    if found is None or not obeys_stein(found, rows[: len(found)]):
        return None
    return found @ dataset.transform.inverse_matrix
