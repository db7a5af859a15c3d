"""The particles on which a run is certified: never those that it was trained on."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.config.model import RunConfig
from wopt.data.dataset import Dataset
from wopt.data.smooth import smooth_dataset
from wopt.errors import WoptError
from wopt.memory import check_room
from wopt.particles import Particles
from wopt.runs.prepare import Prepared, log_density_of, particles_of
from wopt.seeds import derive, generator
from wopt.store.gap_kind import GapKind
from wopt_certify.effort import Effort
from wopt_certify.evaluation_data import EvaluationData
from wopt_certify.options import Certify
from wopt_certify.score import obeys_stein, score_of

__all__ = ["as_test", "evidence_of", "is_scored"]

_COPIES = 6
"""Number of copies of the particles that exist at a time, at the least."""

_PAIRWISE_ROWS = 4000
"""Most particles where the energy is not a mean over them, so that its cost may be quadratic."""


def evidence_of(
    prepared: Prepared, particles: Particles | None, effort: Effort, scored: bool
) -> EvaluationData:
    """Return the particles of a certificate, shape ``(n, d)``, with their score if asked for.

    Args:
        prepared: The run's data and parts.
        particles: Particles to use; ``None`` leaves the choice to the run: held-out rows, or fresh
            draws of its start.
        effort: Numbers of particles and rows.
        scored: Whether the start's score is pushed through the maps too.
    """
    if particles is not None:
        return _given(prepared, particles, "particles that were given")
    if prepared.dataset is None:
        return _given(prepared, prepared.valid, "held-out particles")
    return _evidence(prepared, prepared.dataset, effort, scored)


def _given(prepared: Prepared, at: Particles, origin: str) -> EvaluationData:
    of = GapKind.of_model(prepared.pushes)
    return EvaluationData(at, origin, None, prepared.transform, 0.0, at.points, of)


def _evidence(prepared: Prepared, raw: Dataset, effort: Effort, scored: bool) -> EvaluationData:
    """Return test rows or, if more are needed, fresh draws or other held-out rows."""
    # Never training rows: the maps were fitted to them, so their residual is too small.
    config, count = prepared.config, effort.particles
    objective = prepared.problem.objective
    if objective.contributions(prepared.valid.rows(slice(2))) is None:
        count = min(count, _PAIRWISE_ROWS)
    drawn, origin = raw.test, "test rows"
    if count > len(raw.test):
        if raw.sample is not None:
            what = f"certifying on {count} particles; set certify.particles lower"
            check_room(_COPIES * 8.0 * count * raw.dim, what)
            drawn = raw.sample(count, generator(config.seed, "certify", "particles"))
            origin = "fresh draws of the start"
        else:
            drawn = torch.cat([raw.test, raw.valid])[:count]
            origin = "test and validation rows"
    # All rows become particles before some are taken, so that judging rows are equal to the bit.
    start = as_test(raw, drawn, config)
    score, remarks = None, tuple[str, ...]()
    if scored:
        score, remarks = _score(raw, start.test[: min(count, effort.score_rows)])
    return EvaluationData(
        particles=particles_of(start, start.test, config, known=True).rows(slice(count)),
        origin=origin,
        score=score,
        transform=raw.transform,
        smooth_time=config.smooth_time,
        data=raw.transform(drawn[:count]),
        of=GapKind.of_model(prepared.pushes),
        remarks=remarks,
    )


def as_test(raw: Dataset, rows: Tensor, config: RunConfig) -> Dataset:
    """Return the dataset with test rows ``rows``, shape ``(n, d)``, smoothed like the run's."""
    part = dataclasses.replace(raw, train=rows[:1], valid=rows[:1], test=rows)
    return smooth_dataset(part, config.smooth_time, derive(config.seed, "certify", "smooth"))


def is_scored(prepared: Prepared, options: Certify) -> bool:
    """Return whether the start's score is known and is pushed through the maps."""
    wanted = options.score_rows != 0 and prepared.config.smooth_time == 0
    needed = bool(Capability.LOG_DET & prepared.problem.objective.needs)
    dataset = prepared.dataset
    return wanted and needed and dataset is not None and dataset.log_density is not None


def _score(dataset: Dataset, rows: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the start's score in the flow's coordinates at the rows, or a remark on why not."""
    assert dataset.log_density is not None
    left_out = "The pushed score is left out, so eps is that of test fields: "
    density, back = dataset.log_density, dataset.transform.inverse_matrix
    if dataset.transform.row_log_det(rows[:1]) is not None:  # no affine map of the score
        inside = log_density_of(dataset)
        assert inside is not None
        density, rows, back = inside, dataset.transform(rows), torch.eye(len(back)).to(back)
    try:
        score = score_of(density, rows)
    except (RuntimeError, WoptError) as error:  # a density that autograd cannot follow
        return None, (f"{left_out}the start's density cannot be differentiated ({error}).",)
    if score is None:
        return None, (f"{left_out}the start's density has no finite gradient.",)
    if not obeys_stein(score, rows):
        return None, (f"{left_out}the start's density has jumps, its gradient is not its score.",)
    return score @ back, ()
