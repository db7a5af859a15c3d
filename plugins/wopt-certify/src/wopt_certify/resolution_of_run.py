"""The measurement of KL at resolutions, of a run."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement
from wopt.seeds import derive
from wopt.typed import Typed
from wopt_certify.challenge.of_run import Rivals, groups_of, judges_of
from wopt_certify.effort import doubling, largest
from wopt_certify.evidence import one_of_each
from wopt_certify.options import settings_of
from wopt_certify.resolution import Resolution, resolutions

_BLURRED = 750, 6000
"""Rows that are compared at resolutions, the least and the most; time grows with their square."""


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
        start, moved = judges_of(run, _BLURRED[1])
        y, groups = moved.points, groups_of(run, len(start))
        seed, target = derive(prepared.config.seed, "resolution"), prepared.problem.objective.target
        if groups is not None:  # the limits are for independent rows
            y = y[one_of_each(groups[1], seed).to(y.device)]

        def made(rows: int) -> ResolutionReport:
            found = resolutions(y[:rows], target, level=level, rows=rows // 3, seed=seed)
            return ResolutionReport(tuple(found or ()), rows)

        return largest(doubling(*_BLURRED) if known is None else [known], made, budget)
