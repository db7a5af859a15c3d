"""Measurements of evolutions: the particles at asked times, and arrivals at populations."""

from __future__ import annotations

from typing import Any, ClassVar

from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement, Watch
from wopt_evolution.distances import Distances
from wopt_evolution.exact import Evolution, check_exact
from wopt_evolution.populations import populations_report
from wopt_evolution.snapshots import PopulationsReport


@fields
class Exactness(Measurement):
    """Snapshots of a run at asked times, and their distances from the exact solution.

    It looks at the run as it goes on, so there is nothing left to measure at the end.

    Example:
        >>> Exactness().automatic
        True
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[Distances]] = Distances
    automatic: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("exact", "snapshots")

    def check(self, prepared: Any) -> None:
        """Raise where an exact solution is named and the run does not go its way."""
        check_exact(prepared)

    def applies(self, run: FinishedRun) -> str | None:
        """Return that an evolution is looked at as it goes on."""
        return "an evolution is measured as it goes on"

    def watch(self, directory: Any, prepared: Any) -> Watch:
        """Return who keeps the snapshots."""
        return Evolution(directory, prepared)

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Distances | None:
        """Return nothing: see :meth:`watch`."""
        return None


@fields
class Populations(Measurement):
    """What arrives at each population of a flow through several times, and guesses left out.

    Example:
        >>> Populations().automatic
        True
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[PopulationsReport]] = PopulationsReport
    automatic: ClassVar[bool] = True

    def applies(self, run: FinishedRun) -> str | None:
        """Return why there are no populations to arrive at."""
        known = run.prepared.config.source.snapshots() is not None
        return None if known else "the source knows no populations at several times"

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> PopulationsReport | None:
        """Return the report of the source."""
        return populations_report(run.prepared.config, run.flow, run.listener)
