"""Rivals whose log-densities at the rows are given: from another run, or from a file."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt.statistics import error_of_mean
from wopt_certify.challenge.limit import Bet, lower_limit
from wopt_certify.challenge.stack import Stack
from wopt_certify.lower import EscalationStep, LowerSide

__all__ = ["against"]

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
        level: Confidence of the limit.
        groups: Group numbers, shape ``(n,)``; rows of one group may depend on each other.
        name: Name of the rival.
        seed: Seed of the halves.

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
        stack = Stack.fit([f"{name} {k + 1}" for k in range(logs.shape[1])], logs[chosen])
        values[~chosen] = stack.ratio(logs[~chosen])
        stacks.append(stack)
        parts = (None, None) if groups is None else (groups[chosen], groups[~chosen])
        bet = Bet.on(stack.ratio(logs[chosen]), stack.least, parts[0])
        # The larger of two limits is used, so each has half the error probability.
        half = 1 - (1 - level) / 2
        limits.append(lower_limit(values[~chosen], bet, half, parts[1]))
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
