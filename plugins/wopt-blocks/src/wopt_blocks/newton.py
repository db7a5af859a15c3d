"""The inverse of a smooth map, point by point: Newton's method with step halving."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wopt import DivergenceError

Map = Callable[[Tensor, Tensor | None], Tensor]
"""A function from (x, c) to T(x), shapes ``(n, d)``, ``(n, c)`` and ``(n, d)``."""

Linearised = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""A function from (x, c) to (T(x), DT(x)), shapes ``(n, d)`` and ``(n, d, d)``."""

_ITERATIONS, _HALVINGS = 100, 30

_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}
"""Largest |T(x) - y| that counts as reached, as a fraction of 1 + |y|."""


def miss_allowed(y: Tensor) -> Tensor:
    """Return the aimed |T(x) - y|, shape ``(n,)``: 100 units in the last place of 1 + |y|."""
    return 100 * torch.finfo(y.dtype).eps * (1 + torch.linalg.vector_norm(y, dim=1))


def check_inverted(error: Tensor, y: Tensor, hint: str) -> None:
    """Raise unless T(x) misses y by at most 1e-10 (1 + |y|), in float32 1e-3 (1 + |y|).

    Args:
        error: |T(x) - y|, shape ``(n,)``.
        y: Points, shape ``(n, d)``.
    """
    fraction = _TOLERANCE.get(y.dtype, 0.1)
    off = ~(error <= fraction * (1 + torch.linalg.vector_norm(y, dim=1)))  # NaN counts as off
    if off.any():
        raise DivergenceError(
            f"the inverse did not converge at {int(off.sum())} of {len(y)} points: T(x) misses y "
            f"by up to {float(error[off].max()):.3g} (tolerance {fraction:g} of 1 + |y|); {hint}"
        )


@torch.no_grad()
def newton(value: Map, linearise: Linearised, y: Tensor, c: Tensor | None, hint: str) -> Tensor:
    """Return x with T(x) = y, up to rounding where that is possible, starting from x = y.

    A step is halved until |T(x) - y| falls. Where |T(x)| grows with |x| and DT is nowhere
    singular, as for gradients of strongly convex functions and for id plus a contraction, this
    converges from anywhere, in the end quadratically.

    Args:
        y: Points, shape ``(n, d)``.
        c: Conditions that T depends on, shape ``(n, k)``.

    Example:
        >>> y = torch.tensor([[2.0], [-3.0]], dtype=torch.float64)
        >>> cubic = lambda x, _: x + x**3
        >>> both = lambda x, _: (x + x**3, (1 + 3 * x**2)[:, :, None])
        >>> x = newton(cubic, both, y, None, "")
        >>> (x + x**3).round(decimals=9).tolist()
        [[2.0], [-3.0]]
    """
    x, goal = y.clone(), miss_allowed(y)
    error = torch.full_like(goal, torch.inf)
    rows = torch.arange(len(y), device=y.device)  # those not there yet
    for _ in range(_ITERATIONS):
        at, derivative = linearise(x[rows], _at(c, rows))
        miss = at - y[rows]
        error[rows] = torch.linalg.vector_norm(miss, dim=1)
        left = ~(error[rows] <= goal[rows])
        if not left.any():
            break
        rows, miss = rows[left], miss[left]
        step = torch.linalg.solve_ex(derivative.expand(len(at), -1, -1)[left], miss)[0]
        updated, better = _halved(value, x[rows], step, y[rows], _at(c, rows), error[rows])
        rows = rows[better]  # the others are at the limit of precision, or stuck
        if not len(rows):
            break
        x[rows] = updated[better]
    check_inverted(error, y, hint)
    return x


def _at(c: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if c is None else c[rows]


def _halved(
    value: Map, x: Tensor, step: Tensor, y: Tensor, c: Tensor | None, error: Tensor
) -> tuple[Tensor, Tensor]:
    """Return x - t step for the largest t = 1, 1/2, ... that helps, and whether one did."""
    updated, done = x.clone(), torch.zeros_like(error, dtype=torch.bool)
    rows, t = torch.arange(len(x), device=x.device), 1.0
    for _ in range(_HALVINGS):
        new = x[rows] - t * step[rows]
        miss = torch.linalg.vector_norm(value(new, _at(c, rows)) - y[rows], dim=1)
        better = miss <= (1 - 1e-4 * t) * error[rows]
        updated[rows[better]], done[rows[better]] = new[better], True
        rows, t = rows[~better], t / 2
        if not len(rows):
            break
    return updated, done
