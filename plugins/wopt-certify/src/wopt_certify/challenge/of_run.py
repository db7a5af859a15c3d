"""Challenging a run by densities that are fitted to its rows."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement
from wopt.particles import Particles
from wopt.push import push_all
from wopt.runs import particles_of
from wopt.seeds import derive, generator
from wopt_certify.challenge import ChallengeRows, challenge, challengers_for
from wopt_certify.evidence import as_test
from wopt_certify.gap import LowerSide
from wopt_certify.options import settings_of

_MOST = 20_000
"""Largest numbers of rows that fit challengers, and that judge them."""

_FEW = 1_000
"""If there are fewer test rows, and the source can be sampled, this many draws judge."""

_JUDGES = 2000, 20_000
"""Rows that judge challengers at most: with a budget, and without."""


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
        of_rows = prepared.dataset is not None and not prepared.pushes
        normalised = objective.target is not None and objective.target.normalised
        seen = prepared.train.weights is None and prepared.train.log_det is not None
        if of_rows and normalised and objective.gap_is_kl and seen:
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
        prepared, state = run.prepared, run.state
        target, judges = prepared.problem.objective.target, judges_of(run, rows)
        # Rows that neither training nor any choice has seen judge.
        first = prepared.train.rows(slice(_MOST)), state.train.first(_MOST)
        pairs = first, (prepared.valid, state.valid.particles), judges
        fit, hold, judge = (ChallengeRows.of(target, x.points, moved) for x, moved in pairs)
        side = challenge(
            fit, hold, judge, challengers_for(target, fit.condition), budget=budget,
            recorded=None if known is None else known.tried, level=settings_of(run).level,
            seed=derive(prepared.config.seed, "challenge", state.step),
            groups=groups_of(run, len(judges[0])),
        )  # fmt: skip
        return dataclasses.replace(side, asked=rows)


@torch.no_grad()
def judges_of(run: FinishedRun, rows: int) -> tuple[Particles, Particles]:
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


def groups_of(run: FinishedRun, judges: int) -> tuple[Tensor, Tensor] | None:
    """Return the groups of the rows that choose and of those that judge."""
    data = run.prepared.dataset
    if data.groups is None or data.sample is not None:
        return None
    return data.groups[1], data.groups[2][:judges]
