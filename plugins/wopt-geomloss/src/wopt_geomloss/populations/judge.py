"""Exact distances of a flow's rows from populations, and of rows without a flow."""

from __future__ import annotations

import math

import numpy as np
import ot
import torch
from torch import Tensor

from wopt.interfaces import Carry
from wopt.seeds import generator
from wopt_evolution import LeftOut, MeasuredPopulations, PopulationsReport

_PIVOTS = 10_000_000


def judged_populations(
    snapshots: MeasuredPopulations, carry: Carry, blocks: int, most: int, seed: int
) -> PopulationsReport:
    """Return the distances between populations carried by a flow and measured ones.

    Args:
        carry: Function of rows, their time and another time, to rows at that time.
        most: Largest number of rows of a population that are compared.
    """
    end = snapshots.clock(blocks).times[-1]
    chosen = [subsample(x, most, seed, str(k)) for k, x in enumerate(snapshots.rows)]
    arrivals = []
    for k in range(1, len(snapshots.times)):
        if snapshots.times[k] <= end:
            there = carry(chosen[k - 1], *snapshots.times[k - 1 : k + 1])
            arrivals.append(wasserstein_distances(there, chosen[k])[1])
    left = [
        left_out(snapshots, chosen, carry, time, subsample(rows, most, seed, f"left out {time}"))
        for time, rows in snapshots.left_out
        if snapshots.times[0] < time < end
    ]
    return PopulationsReport(snapshots.times, tuple(arrivals), tuple(left))


def subsample(x: Tensor, most: int, seed: int, name: str) -> Tensor:
    """Return at most ``most`` rows of x, shape ``(n, d)``, chosen by the seed."""
    order = torch.randperm(len(x), generator=generator(seed, "judge", name))
    return x[order[:most]]


def left_out(
    snapshots: MeasuredPopulations, chosen: list[Tensor], carry: Carry, time: float, rows: Tensor
) -> LeftOut:
    """Return the distances of estimates of a left-out population, shape ``(n, d)``, from it."""
    k = sum(t < time for t in snapshots.times) - 1
    begin, end = snapshots.times[k : k + 2]
    before, after = chosen[k : k + 2]
    middle, mass = displacement_interpolation(before, after, (time - begin) / (end - begin))
    own = wasserstein_distances(carry(before, begin, time), rows)
    straight = wasserstein_distances(middle, rows, mass)
    half = len(rows) // 2
    noise = (
        wasserstein_distances(rows[:half], rows[half : 2 * half]) if half else (math.nan, math.nan)
    )
    return LeftOut(
        time,
        len(rows),
        *own,
        *straight,
        *wasserstein_distances(before, rows),
        *wasserstein_distances(after, rows),
        *noise,
    )


def wasserstein_distances(x: Tensor, y: Tensor, mass: Tensor | None = None) -> tuple[float, float]:
    """Return the exact W_1 and W_2 between two sets of rows.

    Args:
        x, y: Rows, shapes ``(n, d)`` and ``(m, d)``.
        mass: Weight of each row of x, shape ``(n,)``, summing to one; equal by default.
    """
    a, b = x.double().numpy(), y.double().numpy()
    weights = np.full(len(a), 1 / len(a)) if mass is None else mass.numpy()
    separation = ot.dist(a, b, "euclidean")
    squared = ot.emd2(weights, [], np.square(separation), numItermax=_PIVOTS)
    return float(ot.emd2(weights, [], separation, numItermax=_PIVOTS)), float(
        max(squared, 0.0) ** 0.5
    )


def displacement_interpolation(
    before: Tensor, after: Tensor, fraction: float
) -> tuple[Tensor, Tensor]:
    """Return displacement interpolation: (1 - s) x + s y for pairs of an optimal plan.

    Args:
        before, after: Rows, shapes ``(n, d)`` and ``(m, d)``.

    Returns:
        The pairs' points, shape ``(k, d)`` with k < n + m, and their masses, shape ``(k,)``.
    """
    x, y, mass = optimal_pairs(before, after)
    return (1 - fraction) * x + fraction * y, mass


def optimal_pairs(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of an optimal plan, ``(k, d)`` and ``(k, d)``, and their masses ``(k,)``.

    Args:
        before, after: Rows, shapes ``(n, d)`` and ``(m, d)``.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]]).double()
        >>> optimal_pairs(x, x.flip(0) + 4)[1].flatten().tolist()
        [4.0, 5.0]
    """
    x, y = before.double(), after.double()
    plan = ot.emd([], [], ot.dist(x.numpy(), y.numpy()), numItermax=_PIVOTS)
    i, j = np.nonzero(plan)
    return x[i], y[j], torch.from_numpy(plan[i, j] / plan.sum())
