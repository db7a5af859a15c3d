"""The section of a report on a flow through populations: arrivals, and those left out."""

from __future__ import annotations

import dataclasses

from wopt.data.snapshots import LeftOut
from wopt.report.page import page
from wopt.report.read import Run

__all__ = ["Guesses", "PopulationsPart", "populations_part", "section"]


@dataclasses.dataclass(frozen=True)
class Guesses:
    """The guesses of a population that was left out.

    Attributes:
        time: Time of the population.
        cells: Number of rows that were compared.
        guesses: Name, W_1 and W_2 of each; the flow's first.
        verdict: The nearest guess, in words.
    """

    time: float
    cells: int
    guesses: list[tuple[str, float, float]]
    verdict: str


@dataclasses.dataclass(frozen=True)
class PopulationsPart:
    """The section's content on a flow through populations.

    Attributes:
        arrivals: Time of each population, and W_2 between it and the rows carried to it.
        left_out: The guesses of each population that was left out.
    """

    arrivals: list[tuple[float, float]]
    left_out: list[Guesses]


def populations_part(run: Run) -> PopulationsPart | None:
    """Return the section's content; ``None`` for a run without populations."""
    found = None if run.result is None else run.result.populations
    if found is None:
        return None
    arrivals = list(zip(found.times[1:], found.arrival_w2, strict=False))
    return PopulationsPart(arrivals, [_guesses(one) for one in found.left_out])


def section(run: Run) -> str | None:
    """Return the section as HTML; ``None`` for a run that leads through no populations."""
    part = populations_part(run)
    if part is None:
        return None
    return page("populations.html", "wopt_evolution", populations=part)


def _guesses(one: LeftOut) -> Guesses:
    """Return the guesses of a population, with the nearest one in words."""
    named = [
        ("the flow", one.w1, one.w2),
        ("displacement interpolation, exact plan", one.displacement_w1, one.displacement_w2),
        ("the population before", one.before_w1, one.before_w2),
        ("the population after", one.after_w1, one.after_w2),
        ("(half of the rows themselves to the other half)", one.noise_w1, one.noise_w2),
    ]
    nearest = min(named[:-1], key=lambda guess: guess[1])[0]
    word = "The flow is" if nearest == "the flow" else f"Not the flow but {nearest} is"
    return Guesses(one.time, one.cells, named, f"{word} nearest by W1.")
