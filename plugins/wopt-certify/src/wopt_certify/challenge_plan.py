"""The counts of a challenge, planned before it and recorded after, so that it repeats."""

from __future__ import annotations

import dataclasses

from wopt.typed import Typed

__all__ = ["ChallengePlan", "FreeTry"]


@dataclasses.dataclass(frozen=True)
class FreeTry(Typed):
    """A free step.

    Attributes:
        rung: Rung of the ladder, from 0.
        side: Coordinates in which it starts; in a plan also ``best``, the side with more gain.
        iterations: Iterations of its schedule.
    """

    rung: int
    side: str
    iterations: int


@dataclasses.dataclass(frozen=True)
class ChallengePlan(Typed):
    """The counts of a challenge.

    Attributes:
        closed: Names of the densities in closed form.
        free: Free steps, in turn.
        refits: Number of challengers that were refitted before each part of the evaluation rows.
    """

    closed: tuple[str, ...] = ()
    free: tuple[FreeTry, ...] = ()
    refits: tuple[int, ...] = ()
