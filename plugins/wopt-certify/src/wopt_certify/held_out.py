"""Evidence: on which particles a run is certified, and held-out rows against its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.config import RunConfig
from wopt.data import Dataset, smooth_dataset
from wopt.errors import DataError, WoptError
from wopt.flow import Flow, draw
from wopt.interfaces import FlowBlock, Target, is_truth
from wopt.memory import check_room
from wopt.particles import Particles
from wopt.runs import Prepared, log_density_of, particles_of
from wopt.seeds import derive, generator
from wopt.store import GapKind
from wopt.typed import Typed
from wopt_certify.effort import Effort
from wopt_certify.options import Certify
from wopt_certify.replay import EvaluationData, obeys_stein, score_of
from wopt_certify.two_sample import (
    ConditionalReport,
    TwoSampleReport,
    conditional_evidence,
    two_sample,
)

__all__ = [
    "SampleComparison",
    "as_test",
    "can_be_compared",
    "compare_samples",
    "evidence_of",
    "is_scored",
    "one_of_each",
]

_COPIES = 6
"""Number of copies of the particles that exist at a time, at the least."""

_PAIRWISE_ROWS = 4000
"""Most particles where the energy is not a mean over them, so that its cost may be quadratic."""


def evidence_of(
    prepared: Prepared, particles: Particles | None, effort: Effort, scored: bool
) -> EvaluationData:
    """Return the particles of a certificate, shape ``(n, d)``, with their score if asked for.

    Args:
        particles: Particles to use; ``None`` leaves the choice to the run: held-out rows, or fresh
            draws of its start.
        scored: Whether the start's score is pushed through the maps too.
    """
    if particles is not None:
        return _given(prepared, particles, "particles that were given")
    if prepared.dataset is None:
        return _given(prepared, prepared.valid, "held-out particles")
    return _evidence(prepared, prepared.dataset, effort, scored)


def _given(prepared: Prepared, at: Particles, origin: str) -> EvaluationData:
    of = GapKind.of_model(prepared.pushes)
    return EvaluationData(
        at, origin, None, prepared.transform, 0.0, at.points, of, prepared.conditions
    )


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
        data=raw.transform.move(raw.split(drawn[:count])[0]),
        of=GapKind.of_model(prepared.pushes),
        conditions=prepared.conditions,
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
    if dataset.transform.columns is not None:  # no affine map of the score
        inside = log_density_of(dataset)
        assert inside is not None
        density, rows, back = inside, dataset.transform.move(rows), torch.eye(len(back)).to(back)
    try:
        score = score_of(density, rows)
    except (RuntimeError, WoptError) as error:  # a density that autograd cannot follow
        return None, (f"{left_out}the start's density cannot be differentiated ({error}).",)
    if score is None:
        return None, (f"{left_out}the start's density has no finite gradient.",)
    if not obeys_stein(score, rows):
        return None, (f"{left_out}the start's density has jumps, its gradient is not its score.",)
    return score @ back, ()


_ROWS = 5000


@dataclasses.dataclass(frozen=True)
class SampleComparison(Typed):
    """Results of two-sample tests of a run.

    Attributes:
        test: Test of held-out rows against samples.
        conditional: Calibration of a conditional model, else ``None``.
        notes: Notes on the compared rows, unless these are all test rows.
        rows: Largest number of rows of either kind.
    """

    test: TwoSampleReport
    conditional: ConditionalReport | None
    notes: tuple[str, ...]
    rows: int


def can_be_compared(prepared: Prepared) -> bool:
    """Return whether some rows should have the law of the model's samples."""
    objective = prepared.problem.objective
    target = objective.target
    return (
        prepared.dataset is not None
        and prepared.train.weights is None
        and target is not None
        and Capability.TARGET_SAMPLES in target.provides
        and is_truth(objective)
    )


@torch.no_grad()
def compare_samples(
    prepared: Prepared, blocks: Sequence[FlowBlock], level: float, most: int = _ROWS
) -> SampleComparison:
    """Test whether held-out rows and samples have the same law, and where they differ.

    For a model of data, test rows (smoothed, if the data were) are compared with its samples; for a
    start pushed forward, draws of the target with its samples; for maps without an inverse, test
    rows carried through them with draws of the target.

    Args:
        most: Largest number of rows of either kind.
    """
    data, target = prepared.dataset, prepared.problem.objective.target
    assert data is not None
    assert target is not None
    flow, seed = prepared.flow(blocks), derive(prepared.config.seed, "two sample")
    names: tuple[str, ...] | None = data.names
    notes, train = list[str](), None
    if prepared.pushes:
        rows = draw(target, most, flow.dim, generator(seed, "target"))
        samples, names = flow.sample(len(rows), generator=generator(seed, "model")), None
        notes.append("Two-sample tests are of draws of the target, as rows, against the model's.")
    else:
        rows, note = _held_out(prepared, data)
        rows = rows[:most]
        notes += note
        if Capability.INVERSE in flow.chain.provides:
            samples = _samples(flow, data, len(rows), seed)
            train = None if prepared.config.smooth_time else data.train[:_ROWS].double().cpu()
        else:
            notes.append(
                "Two-sample tests are of test rows carried through the maps, which have no "
                "inverse, against draws of the target."
            )
            rows, samples, names = _carried(flow, target, rows, seed)
    # A finite population is drawn with repetitions, which independent rows do not have.
    samples = torch.unique(samples.double().cpu(), dim=0)
    samples = samples[torch.randperm(len(samples), generator=generator(seed, "order"))]
    test = two_sample(rows.double().cpu(), samples, names, train, level=level, seed=seed)
    return SampleComparison(test, _conditional(flow, data, seed, most), tuple(notes), most)


def _held_out(prepared: Prepared, data: Dataset) -> tuple[Tensor, list[str]]:
    """Return test rows that are independent of each other."""
    config = prepared.config
    rows = smooth_dataset(data, config.smooth_time, derive(config.seed, "two sample", "s")).test
    if data.groups is None:
        return rows[:_ROWS], []
    groups = data.groups[2]
    kept = one_of_each(groups, derive(config.seed, "two sample", "groups"))
    return rows[kept][:_ROWS], [
        f"Two-sample tests are of one test row of each of {len(kept)} groups: rows of a group "
        f"depend on each other, so the {len(rows)} test rows are not independent draws."
    ]


def _samples(flow: Flow, data: Dataset, count: int, seed: int) -> Tensor:
    """Return rows of the model; for a conditional model, at conditions of validation rows."""
    # Not rounded, as noise has spread the rows of discrete columns over their cells, too.
    rng = generator(seed, "model")
    if not data.condition:
        return flow.rsample(count, generator=rng)
    _, given = data.split(data.valid[:count])
    moved = flow.rsample((), generator=rng, conditions=given)
    return torch.cat([moved.double().cpu(), given], dim=1)


def _carried(
    flow: Flow, target: Target, rows: Tensor, seed: int
) -> tuple[Tensor, Tensor, tuple[str, ...] | None]:
    if flow.condition:
        raise DataError("these maps have no inverse, and the model is conditional")
    return flow(rows)[0], draw(target, len(rows), flow.dim, generator(seed, "target")), None


def _conditional(flow: Flow, data: Dataset, seed: int, most: int) -> ConditionalReport | None:
    if not data.condition or Capability.INVERSE not in flow.chain.provides:
        return None
    rows = data.test
    if data.groups is not None:
        rows = rows[one_of_each(data.groups[2], seed)]
    return conditional_evidence(flow, rows[:most], seed=seed)


def one_of_each(groups: Tensor, seed: int) -> Tensor:
    """Return the index of one random row of each group, shape ``(groups,)``, in random order.

    Example:
        >>> chosen = one_of_each(torch.tensor([7, 7, 7, 2, 2]), seed=0)
        >>> sorted(torch.tensor([7, 7, 7, 2, 2])[chosen].tolist())
        [2, 7]
    """
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    numbers, at = torch.unique(groups[order], return_inverse=True)
    first = torch.full((len(numbers),), len(groups), dtype=torch.long)
    first = first.scatter_reduce(0, at, torch.arange(len(groups)), "amin")
    return order[first.sort()[0]]
