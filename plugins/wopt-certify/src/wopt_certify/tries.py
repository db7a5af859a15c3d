"""What challengers are tried, in counts, planned before and noted after: so a challenge repeats."""

from __future__ import annotations

import dataclasses

from wopt.typed import Typed

__all__ = ["FreeTry", "Tries"]


@dataclasses.dataclass(frozen=True)
class FreeTry(Typed):
    """A free step.

    Attributes:
        rung: Of the ladder, from 0.
        side: Where it begins; in a plan also ``best``, the one that has gained more.
        iterations: Of its schedule.
    """

    rung: int
    side: str
    iterations: int


@dataclasses.dataclass(frozen=True)
class Tries(Typed):
    """What a challenge does.

    Attributes:
        closed: Names of the densities in closed form.
        free: Free steps, in turn.
        refits: How many challengers were fitted anew before each part of the rows that judge.
    """

    closed: tuple[str, ...] = ()
    free: tuple[FreeTry, ...] = ()
    refits: tuple[int, ...] = ()
