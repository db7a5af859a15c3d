"""Challenging a run: by densities fitted to its rows, and by a rival that is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from wopt.component import fields
from wopt.data import READABLE, read_table
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import Budget, FinishedRun, FlowBlock, Measurement
from wopt.particles import Particles
from wopt.push import push_all
from wopt.runs import Prepared, load, particles_of
from wopt.seeds import derive, generator
from wopt.typed import Typed
from wopt_certify.challenge import ChallengeRows, against, challenge, challengers_for
from wopt_certify.effort import doubling, largest
from wopt_certify.evidence import as_test, one_of_each
from wopt_certify.gap import LowerSide
from wopt_certify.options import settings_of
from wopt_certify.resolution import Resolution, resolutions

_MOST = 20_000
"""Largest numbers of rows that fit challengers, and that judge them."""

_FEW = 1_000
"""If there are fewer test rows, and the source can be sampled, this many draws judge."""

_JUDGES = 2000, 20_000
"""Rows that judge challengers at most: with a budget, and without."""
_BLURRED = 750, 6000
"""Rows that are compared at resolutions, the least and the most; time grows with their square."""


@fields
class Rivals(Measurement):
    """A lower side of KL(data | model): what other densities, fitted to the data, gain over it.

    Source: docs/theory 4; the chain rule of KL with a density that is not the truth.

    Example:
        >>> Rivals().document.__name__
        'LowerSide'
    """

    cites: ClassVar[tuple[str, ...]] = ("waudby2024",)
    document: ClassVar[type[LowerSide]] = LowerSide
    rows: Annotated[
        int | None,
        Field(
            ge=20,
            description="rows that judge, at most; by default 2,000 with a budget, else 20,000",
        ),
    ] = None

    def applies(self, run: FinishedRun) -> str | None:
        """Return why a run cannot be challenged."""
        prepared, objective = run.prepared, run.prepared.problem.objective
        if (
            prepared.dataset is not None
            and objective.target is not None
            and objective.target.normalised
            and objective.gap_is_kl
            and not prepared.pushes
            and prepared.train.weights is None
            and prepared.train.log_det is not None
        ):
            return None
        return (
            "it needs a model of data with a normalised density, which others can be compared "
            "with, and this is not one"
        )

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> LowerSide:
        """Return the lower side that challengers find in the budget."""
        known = None if recorded is None else recorded.challengers
        limited = budget is not None and budget.left is not None and not run.fresh
        asked = self.rows or _JUDGES[not limited]
        rows = asked if known is None else known.asked or known.rows
        tried = None if known is None else known.tried
        return dataclasses.replace(_lower_side(run, rows, budget, tried), asked=rows)


def _lower_side(run: FinishedRun, rows: int, budget: Budget | None, tried: int | None) -> LowerSide:
    """Return a lower bound of KL(data | model), in nats, judged by so many rows at most.

    Training rows fit, held-out rows choose, and rows that neither training nor any choice has seen
    judge: fresh draws where the source can be drawn from, else test rows.
    """
    prepared, state = run.prepared, run.state
    target, judges = prepared.problem.objective.target, _judges(run, rows)
    pairs = (
        (prepared.train.rows(slice(_MOST)), state.train.first(_MOST)),
        (prepared.valid, state.valid.particles),
        judges,
    )
    fit, hold, judge = (ChallengeRows.of(target, start.points, moved) for start, moved in pairs)
    seed = derive(prepared.config.seed, "challenge", state.step)
    return challenge(
        fit, hold, judge, challengers_for(target, fit.condition), budget=budget, recorded=tried,
        level=settings_of(run).level, seed=seed, groups=_groups(run, len(judges[0])),
    )  # fmt: skip


@torch.no_grad()
def _judges(run: FinishedRun, rows: int) -> tuple[Particles, Particles]:
    """Return rows that judge, before and after the audited maps."""
    data, config = run.prepared.dataset, run.prepared.config
    points, count = data.test, min(rows, _MOST)
    if data.sample is not None and (run.fresh or len(points) < _FEW):
        rng = generator(config.seed, "challenge", "judge", run.state.step)
        # Repeated draws of this many decide as test rows would.
        points = data.sample(min(count, max(len(points), _FEW)), rng)
    smoothed = as_test(data, points, config)
    start = particles_of(smoothed, smoothed.test, config, known=False).rows(slice(count))
    return start, push_all(run.maps, start, audit=True)


def _groups(run: FinishedRun, judges: int) -> tuple[Tensor, Tensor] | None:
    """Return the groups of the rows that choose and of those that judge."""
    data = run.prepared.dataset
    if data.groups is None or data.sample is not None:
        return None
    return data.groups[1], data.groups[2][:judges]


@dataclasses.dataclass(frozen=True)
class ResolutionReport(Typed):
    """KL of the blurred laws from both sides, and the rows that were compared."""

    each: tuple[Resolution, ...]
    rows: int


@fields
class Resolutions(Measurement):
    """KL(data | model) at resolutions: both laws are blurred, with limits from either side.

    Example:
        >>> Resolutions().document.__name__
        'ResolutionReport'
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[ResolutionReport]] = ResolutionReport

    def applies(self, run: FinishedRun) -> str | None:
        """Return why there are no resolutions."""
        return Rivals().applies(run)

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> ResolutionReport:
        """Return both sides at a few resolutions."""
        known = None if recorded is None else recorded.effort.resolution
        prepared, level = run.prepared, settings_of(run).level
        if prepared.train.condition:
            return ResolutionReport((), known or _BLURRED[1])
        start, moved = _judges(run, _BLURRED[1])
        y, groups = moved.points, _groups(run, len(start))
        seed, target = derive(prepared.config.seed, "resolution"), prepared.problem.objective.target
        if groups is not None:  # the limits are for independent rows
            y = y[one_of_each(groups[1], seed).to(y.device)]

        def made(rows: int) -> ResolutionReport:
            found = resolutions(y[:rows], target, level=level, rows=rows // 3, seed=seed)
            return ResolutionReport(tuple(found or ()), rows)

        return largest(doubling(*_BLURRED) if known is None else [known], made, budget)


def rival_of(prepared: Prepared, blocks: Sequence[FlowBlock], path: Path) -> LowerSide:
    """Return a lower bound of KL(data | model), by a rival's log-densities at the test rows.

    Args:
        path: A run directory, a file that ``Flow.save`` wrote, or a table with one column: the
            rival's log-density at each test row, in the data's units and in the data's order.
    """
    dataset, target = prepared.dataset, prepared.problem.objective.target
    if dataset is None or prepared.pushes or target is None or not target.normalised:
        raise CapabilityError(
            "a rival challenges models of data with a density, and this is not one: no test "
            "rows can be scored by both"
        )
    own = prepared.flow(blocks).log_prob(dataset.test, audit=True).double().cpu()
    groups = None if dataset.groups is None else dataset.groups[2]
    return against(_log_density(path, dataset.test), own, groups=groups, name=path.name)


def _log_density(path: Path, rows: Tensor) -> Tensor:
    if path.is_dir() or path.suffix.lower() not in READABLE:
        rival = load(path)
        if rival.dim != rows.shape[1]:
            raise DataError(
                f"{path}: a model of {rival.dim} columns, and the run's data have {rows.shape[1]}"
            )
        return rival.log_prob(rows, audit=True).double().cpu()
    table, names = read_table(path)
    if table.shape != (len(rows), 1):
        raise DataError(
            f"{path}: has shape {tuple(table.shape)} (columns {', '.join(names[:8])}); a rival's "
            f"log-densities are one column of {len(rows)} numbers, one for each test row"
        )
    return torch.from_numpy(table)[:, 0]
