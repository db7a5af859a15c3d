"""Explicit Runge-Kutta integration of a flow with its log-det and action on a given grid."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt_jko.ode.velocity import Field


@dataclasses.dataclass(frozen=True)
class Tableau:
    """Butcher coefficients of an explicit method: stage rows a, weights b, nodes c."""

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]


EULER = Tableau(a=((),), b=(1.0,), c=(0.0,))
"""The explicit method of order 1."""

MIDPOINT = Tableau(a=((), (1 / 2,)), b=(0.0, 1.0), c=(0.0, 1 / 2))
"""The explicit midpoint method, of order 2."""

RK4 = Tableau(
    a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    c=(0.0, 1 / 2, 1 / 2, 1.0),
)
"""The classical method of order 4."""

DORMAND_PRINCE = Tableau(
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    b=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    c=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
)
"""The method of order 5 of Dormand and Prince (1980), used for the independent audit."""


def uniform_grid(steps: int, reverse: bool = False) -> list[float]:
    """Return ``steps + 1`` equidistant times from 0 to 1, or from 1 to 0."""
    grid = [k / steps for k in range(steps + 1)]
    return grid[::-1] if reverse else grid


def integrate(
    field: Field, x: Tensor, grid: Sequence[float], tableau: Tableau, action: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Integrate dx/dt = v, d(log_det)/dt = div v, d(action)/dt = |v|^2.

    Args:
        x: Positions at ``grid[0]``, shape ``(n, d)``.
        action: Whether to compute the action; it is zero otherwise.

    Returns:
        Positions, log-det and action at ``grid[-1]``, shapes ``(n, d)``, ``(n,)``, ``(n,)``; the
        log-det is zero if ``field`` gives no divergence.
    """
    log_det = cost = x.new_zeros(len(x))
    for before, after in itertools.pairwise(grid):
        h = after - before
        slopes: list[Tensor] = []
        for row, c, weight in zip(tableau.a, tableau.c, tableau.b, strict=True):
            y = x
            for coefficient, slope in zip(row, slopes, strict=True):
                if coefficient:
                    y = torch.add(y, slope, alpha=h * coefficient)
            v, divergence = field(before + c * h, y)
            slopes.append(v)
            if divergence is not None and weight:
                log_det = torch.add(log_det, divergence, alpha=h * weight)
            if action and weight:
                cost = torch.add(cost, v.square().sum(1), alpha=h * weight)
        for weight, slope in zip(tableau.b, slopes, strict=True):
            if weight:
                x = torch.add(x, slope, alpha=h * weight)
    return x, log_det, cost
