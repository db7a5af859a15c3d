"""Ascent to modes from many points at once, by L-BFGS with one history per row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["climb"]

_HISTORY = 10
_HALVINGS = 25
_SLOPE = 1e-4


@torch.no_grad()
def climb(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    iterations: int = 200,
    tolerance: float = 1e-5,
) -> Tensor:
    """Return the end points of descents on V from each row, shape ``(n, d)``; V never rises.

    Rows are independent. A row that meets an infinite V or a NaN stays where it is.

    Args:
        potential: V in nats, ``(n, d)`` to ``(n,)``.
        score: -grad V, ``(n, d)`` to ``(n, d)``.
        x: The initial points, shape ``(n, d)``.
        iterations: Number of iterations at most.
        tolerance: Norm of the score at which a row is done.

    Source: Nocedal, Wright, Numerical optimization, 2006, algorithm 7.4, with Armijo's rule.

    Example:
        >>> a = torch.tensor([1.0, 100.0]).double()
        >>> ends = climb(lambda x: (a * x * x).sum(1) / 2, lambda x: -a * x,
        ...     torch.tensor([[3.0, 1.0], [-2.0, 0.1]]).double())
        >>> float(ends.abs().max()) < 1e-5
        True
    """
    x = x.clone()
    value, gradient = potential(x), -score(x)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    for _ in range(iterations):
        norm = gradient.norm(dim=1)
        open_rows = torch.isfinite(value) & torch.isfinite(norm) & (norm > tolerance)
        if not bool(open_rows.any()):
            break
        direction = _direction(gradient, steps, changes)
        slope = (direction * gradient).sum(1)
        uphill = ~(slope < 0)
        direction[uphill] = -gradient[uphill]
        slope = (direction * gradient).sum(1)
        length = torch.ones_like(value)
        if not steps:  # the first step has no scale: at most of length one
            length = 1 / norm.clamp_min(1.0)
        moved, reached, changed = _search(potential, x, value, direction, slope, length, open_rows)
        after = gradient.clone()
        if not bool(changed.any()):
            break
        after[changed] = -score(moved[changed])
        steps.append(moved - x)
        changes.append(after - gradient)
        del steps[:-_HISTORY], changes[:-_HISTORY]
        x, value, gradient = moved, reached, after
    return x


def _search(
    potential: Callable[[Tensor], Tensor],
    x: Tensor,
    value: Tensor,
    direction: Tensor,
    slope: Tensor,
    length: Tensor,
    rows: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows' end points by Armijo's rule, V there, and a mask of the rows that moved."""
    moved, reached, ahead = x.clone(), value.clone(), rows.clone()
    for _ in range(_HALVINGS):
        trial = x[ahead] + length[ahead, None] * direction[ahead]
        at = potential(trial)
        good = at <= value[ahead] + _SLOPE * length[ahead] * slope[ahead]
        indices = ahead.nonzero()[:, 0]
        moved[indices[good]], reached[indices[good]] = trial[good], at[good]
        ahead[indices[good]] = False
        length = length / 2
        if not bool(ahead.any()):
            break
    return moved, reached, rows & ~ahead


def _direction(gradient: Tensor, steps: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Return minus the approximate inverse Hessian times the gradient (two-loop recursion)."""
    q = gradient.clone()
    kept = []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        curvature = (s * y).sum(1)
        usable = curvature > 1e-12 * s.norm(dim=1) * y.norm(dim=1)
        rho = torch.where(usable, 1 / torch.where(usable, curvature, 1.0), 0.0)
        alpha = rho * (s * q).sum(1)
        q = q - alpha[:, None] * y
        kept.append((s, y, rho, alpha))
    if steps:
        s, y = steps[-1], changes[-1]
        curvature, square = (s * y).sum(1), y.square().sum(1)
        usable = (curvature > 0) & (square > 0)
        scale = torch.where(usable, curvature / torch.where(usable, square, 1.0), 1.0)
        q = q * scale[:, None]
    for s, y, rho, alpha in reversed(kept):
        beta = rho * (y * q).sum(1)
        q = q + (alpha - beta)[:, None] * s
    return -q
