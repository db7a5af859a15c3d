"""Two-sample evidence of a run: held-out rows against the model's samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.data.dataset import Dataset, one_of_each
from wopt.data.smooth import smooth_dataset
from wopt.errors import DataError
from wopt.flow import Flow, draw
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import is_truth
from wopt.interfaces.target import Target
from wopt.runs.prepare import Prepared
from wopt.seeds import derive, generator
from wopt_certify.two_sample import (
    ConditionalReport,
    TwoSampleReport,
    conditional_evidence,
    two_sample,
)

__all__ = ["SampleComparison", "can_be_compared", "compare_samples"]

_ROWS = 5000
_FEW, _QUICK = 1000, 100
"""Number of rows up to which the classifier makes fewer iterations, and their number."""


@dataclasses.dataclass(frozen=True)
class SampleComparison:
    """Results of two-sample tests of a run.

    Attributes:
        test: Test of held-out rows against samples.
        conditional: Calibration of a conditional model, else ``None``.
        notes: Notes on the compared rows, unless these are all test rows.
    """

    test: TwoSampleReport
    conditional: ConditionalReport | None
    notes: tuple[str, ...]


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
        prepared: The run's data and parts, which can be compared.
        blocks: The run's maps.
        level: Confidence level.
        most: Largest number of rows of either kind.

    Raises:
        WoptError: Rows are too few, or samples cannot be drawn.
    """
    data, target = prepared.dataset, prepared.problem.objective.target
    assert data is not None
    assert target is not None
    flow, seed = prepared.flow(blocks), derive(prepared.config.seed, "two sample")
    names: tuple[str, ...] | None = data.names
    notes = list[str]()
    if prepared.pushes:
        rows = draw(target, most, flow.dim, generator(seed, "target"))
        samples, names = flow.sample(len(rows), generator=generator(seed, "model")), None
        notes.append("Two-sample tests are of draws of the target, as rows, against the model's.")
    else:
        rows, note = _held_out(prepared, data)
        rows = rows[:most]
        notes += note
        if flow.chain.provides(Capability.INVERSE):
            samples = _samples(flow, data, len(rows), seed)
        else:
            notes.append(
                "Two-sample tests are of test rows carried through the maps, which have no "
                "inverse, against draws of the target."
            )
            rows, samples, names = _carried(flow, target, rows, seed)
    # A finite population is drawn with repetitions, which independent rows do not have.
    samples = torch.unique(samples.double().cpu(), dim=0)
    samples = samples[torch.randperm(len(samples), generator=generator(seed, "order"))]
    quick = {"iterations": _QUICK, "kernel_rows": most // 2} if most <= _FEW else {}
    test = two_sample(rows.double().cpu(), samples, names, level=level, seed=seed, **quick)
    return SampleComparison(test, _conditional(flow, data, seed, most), tuple(notes))


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
    rng = generator(seed, "model")
    if not data.condition:
        return flow.sample(count, generator=rng)
    given = data.valid[:count, -data.condition :]
    moved = flow.sample((), generator=rng, conditions=given)
    return torch.cat([moved.double().cpu(), given], dim=1)


def _carried(
    flow: Flow, target: Target, rows: Tensor, seed: int
) -> tuple[Tensor, Tensor, tuple[str, ...] | None]:
    if flow.condition:
        raise DataError("these maps have no inverse, and the model is conditional")
    return flow(rows)[0], draw(target, len(rows), flow.dim, generator(seed, "target")), None


def _conditional(flow: Flow, data: Dataset, seed: int, most: int) -> ConditionalReport | None:
    if not data.condition or not flow.chain.provides(Capability.INVERSE):
        return None
    rows = data.test
    if data.groups is not None:
        rows = rows[one_of_each(data.groups[2], seed)]
    return conditional_evidence(flow, rows[:most], seed=seed)
