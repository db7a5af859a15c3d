"""What challengers were tried, in counts: with these, and no clock, a challenge repeats."""

from __future__ import annotations

import dataclasses

from wopt.typed import Typed

__all__ = ["FreeTry", "Tries"]


@dataclasses.dataclass(frozen=True)
class FreeTry(Typed):
    """A free step.

    Attributes:
        rung: Of the ladder, from 0.
        side: Where it begins.
        iterations: That its schedule was cut to.
    """

    rung: int
    side: str
    iterations: int


@dataclasses.dataclass(frozen=True)
class Tries(Typed):
    """What a challenge did in its time.

    Attributes:
        closed: Names of the densities in closed form.
        free: Free steps, in turn.
        refits: How many challengers were fitted anew before each part of the rows that judge.
    """

    closed: tuple[str, ...] = ()
    free: tuple[FreeTry, ...] = ()
    refits: tuple[int, ...] = ()
