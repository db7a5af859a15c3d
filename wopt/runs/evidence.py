"""Evidence: on which particles a run is certified, never on those that it was trained on."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.certify.effort import Effort
from wopt.certify.evidence import Evidence
from wopt.certify.options import CertifyOptions
from wopt.certify.quantity import Quantity
from wopt.certify.score import obeys_stein, score_of
from wopt.data.dataset import Dataset
from wopt.data.smooth import smooth_dataset
from wopt.errors import WoptError
from wopt.particles import Particles
from wopt.runs.prepare import Prepared, particles_of
from wopt.seeds import derive, generator

__all__ = ["evidence_of", "is_scored"]

_PAIRWISE_ROWS = 4000
"""Particles at most where the energy is no mean over particles, so its cost may be quadratic."""


def evidence_of(
    prepared: Prepared, particles: Particles | None, effort: Effort, scored: bool
) -> Evidence:
    """Return what a certificate is measured on.

    Args:
        prepared: The run's data and parts.
        particles: Those that were asked for; ``None`` leaves the choice to the run: fresh draws of
            its start, else held-out rows.
        effort: How many.
        scored: Whether the start's score is pushed through the maps too.
    """
    if particles is not None:
        return _given(prepared, particles, "particles that were given")
    if prepared.dataset is None:
        return _given(prepared, prepared.valid, "held-out particles")
    return _evidence(prepared, prepared.dataset, effort, scored)


def _given(prepared: Prepared, at: Particles, origin: str) -> Evidence:
    of = Quantity.of_model(prepared.pushes)
    return Evidence(at, origin, None, prepared.transform, 0.0, at.points, of)


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
        particles=particles_of(start, rows, config, known=True),
        origin=origin,
        score=score,
        transform=raw.transform,
        smooth_time=config.smooth_time,
        data=raw.transform(drawn),
        of=Quantity.of_model(prepared.pushes),
        remarks=remarks,
    )


def is_scored(prepared: Prepared, options: CertifyOptions) -> bool:
    """Return whether the start's score is to be pushed through the maps: it has to be known."""
    wanted = options.score_rows != 0 and prepared.config.smooth_time == 0
    needed = bool(Capability.LOG_DET & prepared.problem.objective.needs)
    dataset = prepared.dataset
    return wanted and needed and dataset is not None and dataset.log_density is not None


def _score(dataset: Dataset, rows: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the start's score in the flow's coordinates at the rows, or why there is none."""
    assert dataset.log_density is not None
    left_out = "The pushed score is left out, so eps is what test fields see: "
    try:
        score = score_of(dataset.log_density, rows)
    except (RuntimeError, WoptError) as error:  # a density that autograd cannot follow
        return None, (f"{left_out}the start's density cannot be differentiated ({error}).",)
    if score is None:
        return None, (f"{left_out}the start's density has no finite gradient.",)
    if not obeys_stein(score, rows):
        return None, (f"{left_out}the start's density has jumps, its gradient is not its score.",)
    return score @ dataset.transform.inverse_matrix, ()
