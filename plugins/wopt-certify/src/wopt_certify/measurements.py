"""The parts of a certificate as measurements of their own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement
from wopt_certify.challenge.of_run import Challenge, can_be_challenged
from wopt_certify.held_out import can_be_compared, compare_samples
from wopt_certify.inverse import TotalMass
from wopt_certify.lower import LowerSide
from wopt_certify.mass import mass_of
from wopt_certify.two_sample import TwoSampleReport

__all__ = ["Mass", "Rivals", "TwoSample"]


def _level(run: FinishedRun) -> float:
    """Return the confidence that the run's certificate is asked for."""
    return float(getattr(run.prepared.config.certify, "level", 0.95))


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
        blocks = run.state.blocks if run.blocks is None else run.blocks
        challenge = Challenge(run.prepared, blocks, run.state, fresh=run.fresh)
        tried = None if recorded is None else recorded.tried
        return challenge.lower_side(budget, _level(run), tried)


@fields
class TwoSample(Measurement):
    """Two-sample tests: whether held-out rows and samples of the model come from one law.

    Example:
        >>> TwoSample(rows=1000).rows
        1000
    """

    cites: ClassVar[tuple[str, ...]] = ("lopezpaz2017", "gretton2012")
    document: ClassVar[type[TwoSampleReport]] = TwoSampleReport
    rows: Annotated[int, Field(ge=20, description="rows of either kind at most")] = 5000

    def applies(self, run: FinishedRun) -> str | None:
        """Return why samples cannot be compared."""
        if can_be_compared(run.prepared):
            return None
        return "there are no rows that the samples of the model should look like"

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> TwoSampleReport:
        """Return what the tests say."""
        return compare_samples(run.prepared, run.state.blocks, _level(run), self.rows).test


@fields
class Mass(Measurement):
    """The integral of the density of the model, which should be one.

    Example:
        >>> Mass().document.__name__
        'TotalMass'
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[TotalMass]] = TotalMass

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> TotalMass | None:
        """Return the integral with its error; ``None`` where it cannot be estimated."""
        counts = None if recorded is None else (recorded.draws, recorded.rows)
        seconds = None if budget is None else budget.seconds
        mass = mass_of(run.prepared, run.state.blocks, seconds, counts)
        return None if isinstance(mass, str) else mass
