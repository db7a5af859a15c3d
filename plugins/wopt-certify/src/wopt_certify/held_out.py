"""Held-out rows against samples of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.data import Dataset, smooth_dataset
from wopt.errors import DataError
from wopt.flow import Flow, draw
from wopt.interfaces import Budget, FinishedRun, FlowBlock, Measurement, is_truth
from wopt.runs import Prepared
from wopt.seeds import derive, generator
from wopt.typed import Typed
from wopt_certify.effort import doubling, largest
from wopt_certify.evidence import one_of_each
from wopt_certify.options import settings_of
from wopt_certify.two_sample import (
    ConditionalReport,
    TwoSampleReport,
    conditional_evidence,
    two_sample,
)

_FEW_ROWS = 600
"""Rows that two-sample tests compare at the least effort."""
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


@fields
class TwoSample(Measurement):
    """Two-sample tests: whether held-out rows and samples of the model come from one law.

    Example:
        >>> TwoSample(rows=1000).rows
        1000
    """

    cites: ClassVar[tuple[str, ...]] = ("lopezpaz2017", "gretton2012")
    document: ClassVar[type[SampleComparison]] = SampleComparison
    rows: Annotated[int, Field(ge=20, description="rows of either kind at most")] = 5000

    def applies(self, run: FinishedRun) -> str | None:
        """Return why samples cannot be compared."""
        prepared, objective = run.prepared, run.prepared.problem.objective
        target = objective.target
        if (
            prepared.dataset is not None
            and prepared.train.weights is None
            and target is not None
            and Capability.TARGET_SAMPLES in target.provides
            and is_truth(objective)
        ):
            return None
        return "there are no rows that the samples of the model should look like"

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> SampleComparison:
        """Return what the tests say, on as many rows as the budget pays for."""
        known = None if recorded is None else recorded.effort.two_sample
        most = min(self.rows, max(len(run.prepared.dataset.test), 1))
        counts = doubling(_FEW_ROWS, most) if known is None else [known]
        prepared, blocks, level = run.prepared, run.state.blocks, settings_of(run).level
        return largest(counts, lambda n: compare_samples(prepared, blocks, level, n), budget)


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
            if flow.condition:
                raise DataError("these maps have no inverse, and the model is conditional")
            samples = draw(target, len(rows), flow.dim, generator(seed, "target"))
            rows, names = flow(rows)[0], None
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


def _conditional(flow: Flow, data: Dataset, seed: int, most: int) -> ConditionalReport | None:
    if not data.condition or Capability.INVERSE not in flow.chain.provides:
        return None
    rows = data.test
    if data.groups is not None:
        rows = rows[one_of_each(data.groups[2], seed)]
    return conditional_evidence(flow, rows[:most], seed=seed)
