"""Judging challengers: mixtures with the model, and limits by betting."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.statistics import mixing_weights, per_group

_FACTORS = {0.5: 0.1, 1.0: 0.8, 2.0: 0.1}
"""Multiples of the bet that looks best, with their fractions of the capital."""
_HALVINGS = 30


def spread(values: Tensor, groups: Tensor | None = None) -> float:
    """Return the variance of a group's sum about its expectation, both over the mean group size.

    Values and numbers of groups have shape ``(n,)``; without groups each row is one.
    """
    sums, counts = per_group(values, groups)
    fraction, mean = sums / counts.mean(), float(sums.sum() / counts.sum())
    return max(float((fraction - mean * counts / counts.mean()).square().mean()), 1e-12)


def lower_limit(
    values: Tensor, variance: float, floor: float, level: float, groups: Tensor | None = None
) -> float:
    """Return L >= 0 with  P(L > max(E value, 0)) <= 1 - level,  at any n, for values >= floor.

    If the mean is m or less, nobody can expect to gain by the bets

        K(m) = prod_g ( 1 + b (S_g - n_g m)/n ),    0 <= b <= 1/(m - floor) n / max n_g,

    since E K(m) <= 1, and by Markov's inequality K(m) >= 1/(1 - level) has at most the chance
    1 - level. L is the least m >= 0 that is not so refuted. The upper tail may be arbitrarily
    heavy. Groups need to be independent of each other, rows within a group need not. The limit lies
    about sqrt(2 log 25) = 2.54 standard errors below the mean; a normal law's, 1.64, can be false.

    Source: Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, 2024.

    Args:
        values: Shape ``(n,)``, none below ``floor``.
        variance: What is expected of these rows' :func:`spread`, from rows that are independent of
            them; the limit is the larger the better it is, and holds whatever it is.
        groups: Group numbers, shape ``(n,)``; rows of one group may depend on each other.

    Example:
        >>> x = 0.5 + torch.randn(4000, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
        >>> 0.4 < lower_limit(x, 0.9, -1.5, 0.95) < 0.5
        True
    """
    sums, counts = per_group(values, groups)
    size = float(counts.mean())
    gains, counts = sums / size, counts / size

    # The bet is best where the limit will be, sqrt(2 log 20) standard errors below the mean; it
    # needs the variance alone, so a poor guess of the mean costs nothing.
    best = math.sqrt(2 * math.log(1 / (1 - level)) / (len(gains) * variance))
    bets, shares = torch.tensor(list(_FACTORS.items()), dtype=torch.float64).T

    def refuted(m: float) -> bool:
        # The floor is lowered a little, so that rounding at a floor of zero refutes nothing.
        largest = 0.95 / ((m - floor + 0.01) * float(counts.max()))
        laid = (bets * best).clamp(max=largest)[:, None]
        capital = torch.log1p(laid * (gains - counts * m)).sum(1)
        return float((capital + shares.log()).logsumexp(0)) >= math.log(1 / (1 - level))

    low, high = 0.0, max(float(gains.sum() / counts.sum()), 0.0)
    for _ in range(_HALVINGS):  # K falls as m grows
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


FLOOR = 0.02
"""Least weight of the model: the loss of a mixture is at most log 50 nats at any point."""


@dataclasses.dataclass(frozen=True)
class StackedRatio:
    """The density  r = w_0 model + sum_k w_k r_k,  a convex mixture.

    Since r >= w_0 model, log r - log model >= log w_0 at every point, whatever the challengers.

    Attributes:
        weights: w, the model's first, shape ``(k + 1,)``.
    """

    weights: Tensor

    @classmethod
    def fit(cls, ratios: Tensor, floor: float = FLOOR) -> StackedRatio:
        """Return the likeliest weights by log r_k - log model on rows, nats, shape ``(n, k)``.

        Each law is mixed with so much of the model as its floor, and EM weighs these mixtures.
        """
        logs = _with_model(ratios)
        model = logs.new_tensor(math.log(floor))
        weights = (1 - floor) * mixing_weights(torch.logaddexp(logs + math.log1p(-floor), model))
        weights[0] += floor
        return cls(weights)

    def ratio(self, ratios: Tensor) -> Tensor:
        """Return log r - log model in nats, from shape ``(n, k)`` to ``(n,)``."""
        return (_with_model(ratios) + self.weights.log()).logsumexp(1)

    def limit(
        self, chosen: Tensor, judged: Tensor, level: float, groups: tuple[Tensor, Tensor] | None
    ) -> float:
        """Return a lower limit of the mean of log r - log model, in nats.

        Args:
            chosen, judged: log r_k - log model at the rows that chose the weights, by which bets
                are laid, ``(m, k)``, and at those that judge, ``(n, k)``.
            groups: Group numbers of both, shapes ``(m,)`` and ``(n,)``.
        """
        of_chosen, of_judged = groups or (None, None)
        variance, floor = spread(self.ratio(chosen), of_chosen), math.log(float(self.weights[0]))
        return lower_limit(self.ratio(judged), variance, floor, level, of_judged)

    def by(self, names: Sequence[str]) -> str:
        """Return the names of the three largest weights that are 0.01 or more, else ``model``."""
        order = self.weights[1:].argsort(descending=True).tolist()
        return ", ".join(names[k] for k in order[:3] if self.weights[k + 1] >= 0.01) or "model"


def _with_model(ratios: Tensor) -> Tensor:
    ratios = ratios.double().nan_to_num(nan=-math.inf, posinf=-math.inf)
    return torch.cat([ratios.new_zeros(len(ratios), 1), ratios], dim=1)
