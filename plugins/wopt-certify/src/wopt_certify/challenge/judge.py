"""Judging challengers: mixtures with the model, limits by betting, and rivals that are given."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt.statistics import error_of_mean, mixing_weights, per_group
from wopt_certify.gap import EscalationStep, LowerSide

_FACTORS = {0.5: 0.1, 1.0: 0.8, 2.0: 0.1}
"""Multiples of the bet that looks best, with their fractions of the capital."""
_HALVINGS = 30


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
        groups: Group numbers, shape ``(n,)``; rows of one group may depend on each other.

    Example:
        >>> x = 0.5 + torch.randn(4000, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
        >>> 0.4 < lower_limit(x, Bet(0.9, -1.5), 0.95) < 0.5
        True
    """
    sums, counts = per_group(values, groups)
    size = float(counts.mean())
    gains, counts = sums / size, counts / size

    def refuted(m: float) -> bool:
        return _log_capital(gains, counts, m, bet, level) >= math.log(1 / (1 - level))

    low, high = 0.0, max(float(gains.sum() / counts.sum()), 0.0)
    for _ in range(_HALVINGS):  # K falls as m grows
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def _log_capital(gains: Tensor, counts: Tensor, m: float, bet: Bet, level: float) -> float:
    # The bet is best where the limit will be, sqrt(2 log 20) standard errors below the mean; it
    # needs the variance alone, so a poor guess of the mean costs nothing.
    best = math.sqrt(2 * math.log(1 / (1 - level)) / (len(gains) * bet.variance))
    # The floor is lowered a little, so that rounding at a floor of zero refutes nothing.
    largest = 0.95 / ((m - bet.floor + 0.01) * float(counts.max()))
    bets = torch.tensor([min(f * best, largest) for f in _FACTORS], dtype=torch.float64)
    each = torch.log1p(bets[:, None] * (gains - counts * m)).sum(1)
    shares = torch.tensor(list(_FACTORS.values()), dtype=torch.float64)
    return float((each + shares.log()).logsumexp(0))


FLOOR = 0.02
"""Least weight of the model: the loss of a mixture is at most log 50 nats at any point."""


@dataclasses.dataclass(frozen=True)
class StackedRatio:
    """The density  r = w_0 model + sum_k w_k r_k,  a convex mixture.

    Since r >= w_0 model, log r - log model >= log w_0 at every point, whatever the challengers.

    Attributes:
        weights: w, the model's first, shape ``(k + 1,)``.
    """

    names: tuple[str, ...]
    weights: Tensor

    @classmethod
    def fit(cls, names: Sequence[str], ratios: Tensor, floor: float = FLOOR) -> StackedRatio:
        """Find the weights that maximise the mean of log r, with a floor for the model.

        Each law is mixed with so much of the model, and EM weighs these mixtures.

        Args:
            ratios: log r_k - log model on rows, nats, shape ``(n, k)``.
            floor: Least weight of the model.
        """
        logs = _with_model(ratios)
        model = logs.new_tensor(math.log(floor))
        weights = (1 - floor) * mixing_weights(torch.logaddexp(logs + math.log1p(-floor), model))
        weights[0] += floor
        return cls(tuple(names), weights)

    @property
    def least(self) -> float:
        """log w_0, a lower bound of log r - log model, in nats."""
        return math.log(float(self.weights[0]))

    def ratio(self, ratios: Tensor) -> Tensor:
        """Return log r - log model in nats, from shape ``(n, k)`` to ``(n,)``."""
        return (_with_model(ratios) + self.weights.log()).logsumexp(1)

    def limit(
        self,
        chosen: Tensor,
        judged: Tensor,
        level: float,
        groups: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, float]:
        """Return log r - log model at rows that judge, and a lower limit of its mean, nats.

        Args:
            chosen, judged: log r_k - log model at the rows that chose the weights, by which bets
                are laid, ``(m, k)``, and at those that judge, ``(n, k)``.
            groups: Group numbers of both, shapes ``(m,)`` and ``(n,)``.
        """
        of_chosen, of_judged = groups or (None, None)
        values = self.ratio(judged)
        bet = Bet.on(self.ratio(chosen), self.least, of_chosen)
        return values, lower_limit(values, bet, level, of_judged)

    def by(self, count: int = 3) -> str:
        """Return the names of the challengers of largest weight, or ``model`` if none has 0.01."""
        order = self.weights[1:].argsort(descending=True).tolist()
        named = [self.names[k] for k in order[:count] if float(self.weights[k + 1]) >= 0.01]
        return ", ".join(named) or "model"


def _with_model(ratios: Tensor) -> Tensor:
    ratios = ratios.double().nan_to_num(nan=-math.inf, posinf=-math.inf)
    return torch.cat([ratios.new_zeros(len(ratios), 1), ratios], dim=1)


_LEAST_ROWS = 40


def against(
    log_density_rows: Tensor,
    model_log_density_rows: Tensor,
    *,
    level: float = 0.95,
    groups: Tensor | None = None,
    name: str = "rival",
    seed: int = 0,
) -> LowerSide:
    """Bound KL(p | model) from below by rivals' log-densities at rows that neither was fitted to.

    The rival is mixed with the model, so that single rows where it does badly cost little. The
    weight is fitted on one half of the rows and evaluated on the other, and the other way round.

    Args:
        log_density_rows: log r at the rows, shape ``(n,)`` or ``(n, k)`` for k rivals, in nats and
            in the same coordinates as the model's.
        model_log_density_rows: log model at the same rows, shape ``(n,)``.
        groups: Group numbers, shape ``(n,)``; rows of one group may depend on each other.

    Raises:
        DataError: The shapes do not fit, rows are too few, or a value is NaN.

    Example:
        >>> x = 1 + torch.randn(4000, generator=torch.Generator().manual_seed(0)).double()
        >>> law = torch.distributions.Normal
        >>> side = against(law(1.0, 1.0).log_prob(x), law(0.0, 1.0).log_prob(x))
        >>> 0.35 < side.low < 0.5
        True
    """
    logs = _log_ratios(log_density_rows, model_log_density_rows)
    first = _halves(len(logs), groups, seed)
    values = torch.empty(len(logs), dtype=torch.float64)
    stacks, limits = [], []
    for chosen in (first, ~first):
        stack = StackedRatio.fit([f"{name} {k + 1}" for k in range(logs.shape[1])], logs[chosen])
        stacks.append(stack)
        parts = None if groups is None else (groups[chosen], groups[~chosen])
        # The larger of two limits is used, so each has half the error probability.
        half = 1 - (1 - level) / 2
        values[~chosen], limit = stack.limit(logs[chosen], logs[~chosen], half, parts)
        limits.append(limit)
    error = error_of_mean(values, groups)
    value = float(values.mean())
    by = name if logs.shape[1] == 1 else stacks[0].by()
    return LowerSide(
        value, error, max(limits), level, by, len(logs), (EscalationStep(by, 0.0, value, error),)
    )


def _log_ratios(rivals: Tensor, model: Tensor) -> Tensor:
    """Return log r - log model at the rows, shape ``(n, k)`` for k rivals."""
    rival, model = rivals.double().reshape(len(rivals), -1), model.double()
    if model.ndim != 1 or len(rival) != len(model):
        raise DataError(
            f"a rival's log-densities are one number a row: got {tuple(rivals.shape)} "
            f"beside the model's {tuple(model.shape)}; evaluate both at the same rows"
        )
    missing = int((torch.isnan(rival).any(1) | torch.isnan(model)).sum())
    if len(model) < _LEAST_ROWS or missing:
        raise DataError(
            f"a rival is judged on at least {_LEAST_ROWS} test rows, of which none is scored NaN: "
            f"got {len(model)} rows, {missing} of them NaN; give more test rows (`split` of the "
            "source), or check the rival's log-densities"
        )
    return rival - model[:, None]


def _halves(n: int, groups: Tensor | None, seed: int) -> Tensor:
    """Return a random half of the rows as a mask, which keeps groups together."""
    rng = torch.Generator().manual_seed(seed)
    if groups is None:
        return torch.randperm(n, generator=rng) < math.ceil(n / 2)
    _, at = torch.unique(groups, return_inverse=True)
    count = int(at.max()) + 1
    if count < 4:
        raise DataError(
            f"rows in {count} group(s) that may depend on each other say too little: at least 4 "
            "groups are needed"
        )
    return (torch.randperm(count, generator=rng) < math.ceil(count / 2))[at]
