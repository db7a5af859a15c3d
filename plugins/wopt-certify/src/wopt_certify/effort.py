"""The effort of a certificate: counts that double, as far as a budget pays for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from wopt.clock import Stopwatch
from wopt.interfaces import Budget
from wopt.typed import Typed

if TYPE_CHECKING:
    from wopt_certify.options import Certify

C = TypeVar("C")
T = TypeVar("T")

_LEAST = (1_000, 25, 50)
_MOST = (20_000, 300, 2_000)
"""Particles, iterations of a critic, rows whose score is pushed: the least and the most."""

_GROWTH = 2
"""Factor of the cost from one result to the next."""


@dataclasses.dataclass(frozen=True)
class Effort(Typed):
    """The amount of work of a certificate, in counts, by which it repeats.

    Attributes:
        particles: Number of particles at most.
        iterations: Iterations of each critic's net.
        last_only: Whether first-order errors are measured after the last step alone.
        two_sample: Rows that two-sample tests compare at most; ``None`` without such tests.
        resolution: Rows that are compared at resolutions; ``None`` without them.
        plans: Whether maps are compared with plans between samples.
        budget: CPU seconds allowed; ``None`` for any.
        left_out: Parts that failed, or that the budget is too small for, in words.
    """

    particles: int
    iterations: int
    score_rows: int
    last_only: bool = False
    two_sample: int | None = None
    resolution: int | None = None
    plans: bool = True
    budget: float | None = None
    left_out: str = ""

    @classmethod
    def full(cls, options: Certify) -> Effort:
        """Return the largest effort that the options allow."""
        *_, last = efforts(options)
        return last


def efforts(
    options: Certify, budget: float | None = None, *, rows: int = _MOST[0], scored: bool = True
) -> Iterator[Effort]:
    """Yield efforts that double; the first one looks at the last step alone.

    Args:
        budget: CPU seconds, which the efforts record.
        scored: Whether the score of the start is known.
    """
    asked = (options.particles, options.iterations, options.score_rows)
    most = (min(_MOST[0], rows), _MOST[1], _MOST[2] if scored else 0)
    sizes = list(zip(asked, map(min, _LEAST, most), most, strict=True))
    last, turn = False, 0
    while not last:
        particles, iterations, score_rows = (
            min(least << turn, most) if value is None else value for value, least, most in sizes
        )
        last = all(v is not None or least << turn >= most for v, least, most in sizes)
        first = turn == 0 and not last
        yield Effort(
            particles, iterations, score_rows, last_only=first and options.iterations is None,
            plans=not first, budget=budget,
        )  # fmt: skip
        turn += 1


def doubling(least: int, most: int) -> Iterator[int]:
    """Yield least, twice that, ..., and most.

    Example:
        >>> list(doubling(250, 2000)), list(doubling(600, 500))
        ([250, 500, 1000, 2000], [500])
    """
    while least < most:
        yield least
        least *= _GROWTH
    yield most


def largest(counts: Iterable[C], make: Callable[[C], T], budget: Budget | None) -> T:
    """Return what the largest count makes that a budget pays for, at least the first.

    Each count costs about twice the one before, so all together cost twice the last. Without a
    limit the last one alone is made.

    Example:
        >>> largest([1, 2, 4], lambda count: 10 * count, None)
        40
        >>> largest([1, 2, 4], lambda count: 10 * count, Budget(0.0))
        10
    """
    *smaller, last = counts
    if budget is None or budget.left is None:
        return make(last)
    for count in smaller:
        watch = Stopwatch()
        made = make(count)
        if budget.left < _GROWTH * watch.cpu:
            return made
    return make(last)
