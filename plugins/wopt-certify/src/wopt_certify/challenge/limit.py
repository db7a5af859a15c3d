"""A lower confidence limit that holds at every number of rows, by betting."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.statistics import per_group

__all__ = ["Bet", "lower_limit"]

_FACTORS = {0.5: 0.1, 1.0: 0.8, 2.0: 0.1}
"""Multiples of the bet that looks best, with their fractions of the capital."""
_GRID, _PASSES = 10, 3


@dataclasses.dataclass(frozen=True)
class Bet:
    """Expectations about the evaluation rows, from rows that are independent of them.

    Attributes:
        variance: Variance of a group's sum about its expectation, both over the mean group size.
        floor: Lower bound of all values, nats.
    """

    variance: float
    floor: float

    @classmethod
    def on(cls, values: Tensor, floor: float, groups: Tensor | None = None) -> Bet:
        """Return the bet that earlier values ``(n,)`` of the same kind suggest."""
        sums, counts = per_group(values, groups)
        fraction = sums / counts.mean()
        mean = float(sums.sum() / counts.sum())
        spread = fraction - mean * counts / counts.mean()
        return cls(max(float(spread.square().mean()), 1e-12), floor)


def lower_limit(values: Tensor, bet: Bet, level: float, groups: Tensor | None = None) -> float:
    """Return L >= 0 with  P(L > max(E value, 0)) <= 1 - level,  at any n, for values >= floor.

    If the mean is m or less, nobody can expect to gain by the bets

        K(m) = prod_g ( 1 + b (S_g - n_g m)/n ),    0 <= b <= 1/(m - floor) n / max n_g,

    since E K(m) <= 1, and by Markov's inequality K(m) >= 1/(1 - level) has at most the chance
    1 - level. L is the least m >= 0 that is not so refuted. The upper tail may be arbitrarily
    heavy: unlike a normal limit, this one is never too optimistic. Groups need to be independent of
    each other, rows within a group need not. The limit lies about sqrt(2 log 25) = 2.54 standard
    errors below the mean, where the normal law's lies 1.64 below.

    Source: Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, 2024.

    Args:
        values: Shape ``(n,)``, none below ``bet.floor``.
        bet: From rows that are independent of these.
        level: Confidence of the limit.
        groups: Group numbers, shape ``(n,)``; rows of one group may depend on each other.

    Example:
        >>> x = 0.5 + torch.randn(4000, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
        >>> 0.4 < lower_limit(x, Bet(0.9, -1.5), 0.95) < 0.5
        True
    """
    sums, counts = per_group(values, groups)
    size = float(counts.mean())
    gains, counts = sums / size, counts / size
    top = float(gains.sum() / counts.sum())
    if not top > 0:
        return 0.0
    low, high = 0.0, top
    # K falls as m grows, so each pass narrows the place where it crosses to one part of a grid.
    for _ in range(_PASSES):
        grid = torch.linspace(low, high, _GRID, dtype=torch.float64)
        capital = torch.stack([_log_capital(gains, counts, float(m), bet, level) for m in grid])
        kept = (capital < math.log(1 / (1 - level))).nonzero()
        if not len(kept):
            return high
        first = int(kept[0])
        if not first:
            return low
        low, high = float(grid[first - 1]), float(grid[first])
    return low


def _log_capital(gains: Tensor, counts: Tensor, m: float, bet: Bet, level: float) -> Tensor:
    # The bet is best where the limit will be, sqrt(2 log 20) standard errors below the mean; it
    # needs the variance alone, so a poor guess of the mean costs nothing.
    best = math.sqrt(2 * math.log(1 / (1 - level)) / (len(gains) * bet.variance))
    # The floor is lowered a little, so that rounding at a floor of zero refutes nothing.
    largest = 0.95 / ((m - bet.floor + 0.01) * float(counts.max()))
    bets = torch.tensor([min(f * best, largest) for f in _FACTORS], dtype=torch.float64)
    each = torch.log1p(bets[:, None] * (gains - counts * m)).sum(1)
    return (each + torch.tensor(list(_FACTORS.values()), dtype=torch.float64).log()).logsumexp(0)
