"""Sequential evaluation: rows already evaluated may teach the challengers for the next ones."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt_certify.challenge.challenger import Challenger, ratios
from wopt_certify.challenge.rows import ChallengeRows
from wopt_certify.challenge.stack import FLOOR, Stack

__all__ = ["PARTS", "SequentialGain", "judge_in_turn"]

PARTS = 10
"""Number of parts in which rows are evaluated."""
_OLDER = 0.4
"""Weight of a row relative to one of the next part, in the choice of mixture weights: older rows
were scored by weaker challengers."""
_KEPT = 0.2
"""Fraction of its initial weight that the model keeps at least."""
_RECENT = 4000
"""Number of last rows that choose weights, at most."""
_ROUNDS = 40
"""Rounds of EM for the weights, which start at those of the part before."""


@dataclasses.dataclass(frozen=True)
class SequentialGain:
    """The values of challengers that learn during evaluation.

    Attributes:
        values: log r_t(x_t) - log model(x_t) in nats, shape ``(n,)``, in the order of the rows
            given.
        floor: Lower bound of all values, known beforehand.
        by: The challengers of largest weight at the end.
        seconds: CPU seconds of the refits; ``None`` where nothing learns.
        refits: Number of challengers that were refitted before each part.
    """

    values: Tensor
    floor: float
    by: str
    seconds: float | None = None
    refits: tuple[int, ...] = ()


def judge_in_turn(
    challengers: tuple[Challenger, ...],
    stack: Stack,
    known: tuple[ChallengeRows, ChallengeRows],
    judge: ChallengeRows,
    groups: Tensor | None = None,
    seed: int = 0,
    refits: Sequence[int] | None = None,
) -> SequentialGain:
    """Evaluate rows part by part; after each part, challengers in closed form are refitted.

    The density r_t that scores row t depends on earlier rows alone, so given these

        E[ log r_t(x_t) - log model(x_t) ] <= KL(p | model),

    and the product of bets on these values is a supermartingale for every m >= KL: the limit holds
    as it does for one density (:func:`lower_limit`), and the evaluation rows are not lost to
    learning. The model keeps at least a fifth of its initial weight, so the floor of the values is
    known before any is seen.

    Source: docs/theory.md (4.3).

    Args:
        challengers: Challengers fitted on the first of ``known``.
        stack: Their weights, from the second.
        known: Rows for fitting, and rows for choices.
        judge: Rows that nothing was fitted to.
        groups: Group numbers, shape ``(n,)``; a group of ``judge`` is evaluated in one part.
        seed: Seed of the order.
        refits: Number of challengers, the first ones, that are refitted before each part; ``None``
            for all.
    """
    begun, (fit, hold) = time.process_time(), known
    logs, chosen = ratios(challengers, judge), ratios(challengers, hold)
    least = max(FLOOR, _KEPT * math.exp(stack.least))
    values, now = torch.zeros(len(judge), dtype=torch.float64), challengers
    seen, shares = torch.zeros(0, dtype=torch.long), torch.ones(len(hold), dtype=torch.float64)
    parts, counter = _parts(len(judge), groups, seed), _Counter(refits)
    for part in parts:
        learned, here = judge.part(seen), judge.part(part)
        counter.made.append(0)
        now = tuple(counter.anew(c, (fit, hold, learned)) for c in now)
        for k, challenger in enumerate(now):
            if challenger.refit is not None:
                logs[part, k] = challenger.ratio(here)
        recent = torch.cat([chosen, logs[seen]])[-_RECENT:]
        names = list(stack.names)
        stack = Stack.fit(names, recent, least, _ROUNDS, stack.weights, shares[-_RECENT:])
        values[part] = stack.ratio(logs[part])
        seen = torch.cat([seen, part])
        shares = torch.cat([_OLDER * shares, torch.ones(len(part)).double()])
    took = time.process_time() - begun
    return SequentialGain(values, math.log(least), stack.by(), took, tuple(counter.made))


class _Counter:
    """Refits challengers, before each part as many as planned."""

    def __init__(self, refits: Sequence[int] | None) -> None:
        self.refits, self.made = refits, list[int]()

    @property
    def over(self) -> bool:
        if self.refits is None:
            return False
        turn = len(self.made) - 1
        return turn >= len(self.refits) or self.made[turn] >= self.refits[turn]

    def anew(self, challenger: Challenger, rows: tuple[ChallengeRows, ...]) -> Challenger:
        if challenger.refit is None or self.over:
            return challenger
        self.made[-1] += 1
        points = torch.cat([part.views[challenger.side].points for part in rows])
        return challenger.anew(points[torch.isfinite(points).all(1)])


def _parts(n: int, groups: Tensor | None, seed: int) -> list[Tensor]:
    """Return the rows of each part, in a random order that keeps groups together."""
    rng = torch.Generator().manual_seed(seed)
    if groups is None:
        return [part for part in torch.randperm(n, generator=rng).chunk(PARTS) if len(part)]
    _, at = torch.unique(groups, return_inverse=True)
    count = int(at.max()) + 1
    part_of = torch.randperm(count, generator=rng)[at] * PARTS // count
    return [rows for k in range(PARTS) if len(rows := (part_of == k).nonzero()[:, 0])]
