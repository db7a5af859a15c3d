"""The parts of a certificate, each a measurement of its own."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Any, ClassVar

from pydantic import Field

from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement
from wopt.typed import Typed
from wopt_certify.certificate import make_certificate
from wopt_certify.challenge.of_run import Challenge, can_be_challenged
from wopt_certify.effort import Effort, doubling, efforts, largest
from wopt_certify.held_out import (
    SampleComparison,
    can_be_compared,
    compare_samples,
    evidence_of,
    is_scored,
)
from wopt_certify.inverse import TotalMass
from wopt_certify.lower import LowerSide
from wopt_certify.mass import mass_of, why_no_mass
from wopt_certify.options import Certify
from wopt_certify.resolution import Resolution
from wopt_certify.results import Certificate

__all__ = [
    "FirstOrder",
    "Mass",
    "ResolutionReport",
    "Resolutions",
    "Rivals",
    "TwoSample",
    "settings_of",
]

_FEW_ROWS = 600
"""Rows that two-sample tests compare at the least effort."""
_JUDGES = 2000, 20_000
"""Rows that judge challengers at most: with a budget, and without."""
_BLURRED = 750, 6000
"""Rows that are compared at resolutions, the least and the most; time grows with their square."""
_DRAWS = 250, 2000
"""Draws that integrate a density, the least and the most."""


def settings_of(run: FinishedRun) -> Certify:
    """Return the options of the run's ``[certify]``, or the default ones."""
    chosen = run.prepared.config.certify
    return chosen if isinstance(chosen, Certify) else Certify()


def _rows(run: FinishedRun) -> int:
    """Return the number of particles for first-order errors; many where they can be drawn."""
    data = run.prepared.dataset
    if run.particles is not None or data is None:
        return len(run.prepared.valid if run.particles is None else run.particles)
    return sys.maxsize if data.sample is not None else len(data.test) + len(data.valid)


@fields
class Rivals(Measurement):
    """A lower side of KL(data | model): what other densities, fitted to the data, gain over it.

    Source: docs/theory.md 4; the chain rule of KL with a density that is not the truth.

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
        if can_be_challenged(run.prepared):
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
        found = Challenge(run, rows).lower_side(budget, settings_of(run).level, tried)
        return dataclasses.replace(found, asked=rows)


@fields
class FirstOrder(Measurement):
    """First-order errors of the steps, and the bounds that follow from them.

    Example:
        >>> FirstOrder().document.__name__
        'Certificate'
    """

    cites: ClassVar[tuple[str, ...]] = ("cheng2024",)
    document: ClassVar[type[Certificate]] = Certificate

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Certificate:
        """Return a certificate without its other parts; ``run.lower`` refutes bounds below it."""
        settings, prepared = settings_of(run), run.prepared
        scored = run.particles is None and is_scored(prepared, settings)

        def made(effort: Effort) -> Certificate:
            run.listener.phase(
                f"certifying on {effort.particles:,} particles at most, critics of "
                f"{effort.iterations} iterations"
            )
            evidence = evidence_of(prepared, run.particles, effort, scored)
            return make_certificate(
                prepared.problem, run.maps, run.state.records, evidence, settings,
                effort=effort, lower=run.lower, listener=run.listener,
            )  # fmt: skip

        if recorded is not None:
            return made(recorded.effort)
        limit, rows = None if budget is None else budget.seconds, _rows(run)
        return largest(efforts(settings, limit, rows=rows, scored=scored), made, budget)


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
        challenge = Challenge(run, _BLURRED[1])
        level = settings_of(run).level
        return largest(
            doubling(*_BLURRED) if known is None else [known],
            lambda rows: ResolutionReport(challenge.at_resolutions(level, rows), rows),
            budget,
        )


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
        if can_be_compared(run.prepared):
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


@fields
class Mass(Measurement):
    """The integral of the density of the model, which should be one.

    Example:
        >>> Mass().document.__name__
        'TotalMass'
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[TotalMass]] = TotalMass

    def applies(self, run: FinishedRun) -> str | None:
        """Return why the density cannot be integrated."""
        return why_no_mass(run.prepared, run.state.blocks)

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> TotalMass | None:
        """Return the integral with its error; ``None`` where rows are too few."""
        known = None if recorded is None else recorded.mass
        counts = doubling(*_DRAWS) if known is None else [known.draws]
        return largest(counts, lambda draws: mass_of(run.prepared, run.state.blocks, draws), budget)
