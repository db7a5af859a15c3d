"""Budgets of processor time, and the clock by which work that gets better with time is stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from wopt.clock import Stopwatch
from wopt.parallel import SOLO, Team

T = TypeVar("T")

_PARTS = 100
"""Parts of a budget by which its clock tells the time: hundredths."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """Processor time that a piece of work may take.

    Attributes:
        seconds: CPU seconds; ``None`` leaves it to the options of the work.
        began: Counts the seconds since the beginning.
        team: Processes that follow the clock of the first one.

    Example:
        >>> Budget(10.0).share(0.25).seconds
        2.5
    """

    seconds: float | None = None
    began: Stopwatch = dataclasses.field(default_factory=Stopwatch, compare=False)
    team: Team = SOLO

    def share(self, fraction: float) -> Budget:
        """Return a budget of a fraction of this one, which begins now."""
        return Budget(None if self.seconds is None else fraction * self.seconds, team=self.team)

    @property
    def left(self) -> float | None:
        """CPU seconds left; ``None`` without a limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - self.began.cpu)

    @property
    def spent(self) -> float:
        """Fraction that is spent, from 0 to 1; 0 without a limit."""
        if self.seconds is None:
            return 0.0
        return min(1.0, self.began.cpu / self.seconds) if self.seconds > 0 else 1.0

    def clock(self, recorded: int | Sequence[int] | None = None, *, at_least: int = 1) -> Clock:
        """Return a clock of this budget, or one that repeats a record, see :class:`Clock`."""
        return Clock(self, recorded, at_least)

    def run(
        self, work: Iterable[T], *, at_least: int = 1, recorded: int | None = None
    ) -> tuple[T | None, int]:
        """Return the last result of work that gets better, and the number of its results.

        Args:
            work: Yields one result after another, each better than the one before.
            at_least: Number of results that are waited for, however long they take.
            recorded: Number of results of an earlier run, which is repeated instead.

        Example:
            >>> Budget(60.0).run(iter("abc")), Budget(0.0).run(iter("abc"), at_least=2)
            (('c', 3), ('b', 2))
            >>> Budget(60.0).run(iter("abc"), recorded=1)
            ('a', 1)
        """
        result, count = None, 0
        for _, better in zip(self.clock(recorded, at_least=at_least), work, strict=False):
            result, count = better, count + 1
        return result, count


class Clock(Iterator[int]):
    """Tells before each item of work which part of a budget has begun, until all are over.

    Work whose items depend on the time (a training whose learning rate falls, say) asks for the
    part: 0, 1, ..., ``parts - 1``. What was done in each part is recorded, and a clock that is
    given the record tells the same parts for the same items, whatever the time.

    Args:
        budget: The budget; without a limit its only part never ends.
        recorded: Numbers of items in each part, as another clock counted them; or one number of
            items, each a part of its own.
        at_least: Number of items that are waited for.

    Attributes:
        parts: Number of parts: one hundred, or as the record says.
        counts: Number of items in each part so far.
        count: Number of items so far.

    Example:
        >>> list(Budget().clock([2, 0, 1])), list(Budget().clock(3))
        ([0, 0, 2], [0, 1, 2])
        >>> clock = Budget(0.0).clock(at_least=2)
        >>> list(clock), sum(clock.counts)
        ([99, 99], 2)
    """

    def __init__(
        self, budget: Budget, recorded: int | Sequence[int] | None = None, at_least: int = 1
    ) -> None:
        self._budget, self._at_least = budget, at_least
        self._recorded = [1] * recorded if isinstance(recorded, int) else recorded
        self.parts = _PARTS if self._recorded is None else len(self._recorded)
        self.counts = [0] * self.parts
        self.count = self.part = 0

    @property
    def expected(self) -> int:
        """Number of items in all, as the past ones let expect."""
        return round(self.count * self.parts / (self.part + 1))

    def __next__(self) -> int:
        """Return the part of the next item."""
        self.part = self._begun()
        if self.part == self.parts:
            raise StopIteration
        self.counts[self.part] += 1
        self.count += 1
        return self.part

    def _begun(self) -> int:
        part = self.part
        if self._recorded is not None:
            while part < self.parts and self.counts[part] >= self._recorded[part]:
                part += 1
            return part
        part = max(part, self._budget.team.agreed(int(self._budget.spent * self.parts)))
        return part if self.count >= self._at_least else min(part, self.parts - 1)
