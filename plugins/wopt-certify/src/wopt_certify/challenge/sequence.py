"""Judging in turn: rows that have judged may teach the challengers that judge the next ones."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt_certify.challenge.challenger import Challenger, ratios
from wopt_certify.challenge.rows import Rows
from wopt_certify.challenge.stack import FLOOR, Stack

__all__ = ["PARTS", "Judged", "judge_in_turn"]

PARTS = 10
"""Rows are judged in so many parts."""
_OLDER = 0.4
"""What a row counts in the choice of weights, beside one of the part after it: challengers get
better."""
_KEPT = 0.2
"""Of its weight at first, the model keeps at least this share."""
_RECENT = 4000
"""Rows at most that choose weights, the last ones."""
_ROUNDS = 40
"""Of EM for the weights, which start at those of the part before."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """What challengers gain that learn while they are judged.

    Attributes:
        values: log r_t(x_t) - log model(x_t), shape ``(n,)``, in the order of the rows given.
        floor: What no value can be below, known beforehand.
        by: The heaviest challengers at the end.
        seconds: Of processor time that learning took; ``None`` where nothing learns.
        refits: How many challengers were fitted anew before each part.
    """

    values: Tensor
    floor: float
    by: str
    seconds: float | None = None
    refits: tuple[int, ...] = ()


def judge_in_turn(
    challengers: tuple[Challenger, ...],
    stack: Stack,
    known: tuple[Rows, Rows],
    judge: Rows,
    groups: Tensor | None = None,
    seed: int = 0,
    refits: Sequence[int] | None = None,
) -> Judged:
    """Judge rows part by part; after each part, challengers in closed form are fitted anew.

    The density r_t that judges row t depends on earlier rows alone, so given these

        E[ log r_t(x_t) - log model(x_t) ] <= KL(p | model),

    and the product of bets on these values is a supermartingale for every m >= KL: the limit holds
    as it does for one density (:func:`lower_limit`), and the rows that judge are not lost to
    learning. The model keeps at least a fifth of the weight that it had at first, so the floor of
    the values is known before any is seen.

    Source: docs/theory.md (4.3).

    Args:
        challengers: Fitted on the first of ``known``.
        stack: Their weights, from the second.
        known: Rows that fitted, and rows that chose.
        judge: Rows that nothing has seen.
        groups: A number for each row of ``judge``; a group is judged in one part.
        seed: Of the order.
        refits: How many challengers, the first ones, are fitted anew before each part; all
            without.
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
    return Judged(values, math.log(least), stack.by(), took, tuple(counter.made))


class _Counter:
    """Fits challengers anew, before each part so many as are planned."""

    def __init__(self, refits: Sequence[int] | None) -> None:
        self.refits, self.made = refits, list[int]()

    @property
    def over(self) -> bool:
        if self.refits is None:
            return False
        turn = len(self.made) - 1
        return turn >= len(self.refits) or self.made[turn] >= self.refits[turn]

    def anew(self, challenger: Challenger, rows: tuple[Rows, ...]) -> Challenger:
        if challenger.refit is None or self.over:
            return challenger
        self.made[-1] += 1
        points = torch.cat([part.views[challenger.side].points for part in rows])
        return challenger.anew(points[torch.isfinite(points).all(1)])


def _parts(n: int, groups: Tensor | None, seed: int) -> list[Tensor]:
    """Return the rows of each part, in a random order that keeps groups together."""
    draw = torch.Generator().manual_seed(seed)
    if groups is None:
        return [part for part in torch.randperm(n, generator=draw).chunk(PARTS) if len(part)]
    _, at = torch.unique(groups, return_inverse=True)
    count = int(at.max()) + 1
    part_of = torch.randperm(count, generator=draw)[at] * PARTS // count
    return [rows for k in range(PARTS) if len(rows := (part_of == k).nonzero()[:, 0])]
