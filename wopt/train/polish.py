"""The last digits of a smooth minimisation: quasi-Newton steps that compare no function values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["polish"]

_MEMORY = 30


def polish(
    parameters: Sequence[Tensor],
    gradient: Callable[[], Tensor],
    known: Sequence[tuple[Tensor, Tensor]] = (),
    *,
    iterations: int = 60,
) -> float:
    """Reduce the gradient's norm in place by L-BFGS steps of unit length; return the norm.

    A line search compares values of the loss, whose rounding limits the parameters to about half
    the digits. Gradients still give a descent direction there. This makes sense only near a
    minimum: if the norm rises, the parameters of the least norm are restored.

    Args:
        parameters: Tensors of any shape, changed in place.
        gradient: Returns the gradient at the current parameters, flattened, shape ``(p,)``.
        known: Pairs of an earlier step and the change of the gradient over it, if any.
        iterations: Largest number of gradients.

    Example:
        >>> x = torch.tensor([0.1, -0.2], dtype=torch.float64)
        >>> polish([x], lambda: torch.stack([x[0] + x[0] ** 3, 4 * x[1]])) < 1e-12
        True
    """
    x, g = _flat(parameters), gradient()
    best, least = x, float(g.norm())
    first, waited = least, 0
    pairs = list(known)
    for _ in range(iterations):
        if not float(g.norm()) <= 10 * first or least <= 1e-15 or waited == 5:  # true for NaN
            break
        step = -_newton_direction(g, pairs)
        x = x + step
        _assign(parameters, x)
        new = gradient()
        waited += 1
        if float(new.norm()) < least:
            best, least, waited = x, float(new.norm()), 0
        if float(step @ (new - g)) > 1e-12 * float(step.norm() * (new - g).norm()):
            pairs = [*pairs, (step, new - g)][-_MEMORY:]
        g = new
    _assign(parameters, best)
    return least


def _newton_direction(g: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return H g by the two-loop recursion of L-BFGS (Nocedal, Wright, Algorithm 7.4)."""
    weights = []
    for s, y in reversed(pairs):
        weights.append((s @ g) / (s @ y))
        g = g - weights[-1] * y
    if pairs:
        s, y = pairs[-1]
        g = g * ((s @ y) / (y @ y))
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        g = g + (weight - (y @ g) / (s @ y)) * s
    return g


def _flat(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parameters])


@torch.no_grad()
def _assign(parameters: Sequence[Tensor], values: Tensor) -> None:
    for p, part in zip(parameters, values.split([p.numel() for p in parameters]), strict=True):
        p.copy_(part.view_as(p))
