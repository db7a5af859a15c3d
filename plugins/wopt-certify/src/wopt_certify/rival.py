"""A lower side by a rival that is given: a run, a saved flow, or log-densities at the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.data import READABLE, read_table
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import FlowBlock
from wopt.runs import Prepared, load
from wopt.statistics import error_of_mean
from wopt_certify.challenge.judge import StackedRatio
from wopt_certify.gap import EscalationStep, LowerSide

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
    first = _halves(torch.arange(len(logs)) if groups is None else groups, seed)
    values = torch.empty(len(logs), dtype=torch.float64)
    names, limits = [f"{name} {k + 1}" for k in range(logs.shape[1])], []
    for chosen in (first, ~first):
        stack = StackedRatio.fit(logs[chosen])
        parts = None if groups is None else (groups[chosen], groups[~chosen])
        # The larger of two limits is used, so each has half the error probability.
        half = 1 - (1 - level) / 2
        values[~chosen] = stack.ratio(logs[~chosen])
        limits.append(stack.limit(logs[chosen], logs[~chosen], half, parts))
    error = error_of_mean(values, groups)
    value = float(values.mean())
    by = name if len(names) == 1 else stack.by(names)
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


def _halves(groups: Tensor, seed: int) -> Tensor:
    """Return a random half of the rows as a mask, which keeps groups together."""
    numbers, at = torch.unique(groups, return_inverse=True)
    if len(numbers) < 4:
        raise DataError(
            f"rows in {len(numbers)} group(s) that may depend on each other say too little: at "
            "least 4 groups are needed"
        )
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))
    return (order < math.ceil(len(numbers) / 2))[at]


def rival_of(prepared: Prepared, blocks: Sequence[FlowBlock], path: Path) -> LowerSide:
    """Return a lower bound of KL(data | model), by a rival's log-densities at the test rows.

    Args:
        path: A run directory, a file that ``Flow.save`` wrote, or a table with one column: the
            rival's log-density at each test row, in the data's units and in the data's order.
    """
    dataset, target = prepared.dataset, prepared.problem.objective.target
    if dataset is None or prepared.pushes or target is None or not target.normalised:
        raise CapabilityError(
            "a rival challenges models of data with a density, and this is not one: no test "
            "rows can be scored by both"
        )
    own = prepared.flow(blocks).log_prob(dataset.test, audit=True).double().cpu()
    groups = None if dataset.groups is None else dataset.groups[2]
    return against(_log_density(path, dataset.test), own, groups=groups, name=path.name)


def _log_density(path: Path, rows: Tensor) -> Tensor:
    if path.is_dir() or path.suffix.lower() not in READABLE:
        rival = load(path)
        if rival.dim != rows.shape[1]:
            raise DataError(
                f"{path}: a model of {rival.dim} columns, and the run's data have {rows.shape[1]}"
            )
        return rival.log_prob(rows, audit=True).double().cpu()
    table, names = read_table(path)
    if table.shape != (len(rows), 1):
        raise DataError(
            f"{path}: has shape {tuple(table.shape)} (columns {', '.join(names[:8])}); a rival's "
            f"log-densities are one column of {len(rows)} numbers, one for each test row"
        )
    return torch.from_numpy(table)[:, 0]
