"""Modes among the points that a search found, and their masses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Mode", "distinct_modes", "hessian"]

_DECREMENT = 1e-2
"""Newton decrement g^T H^-1 g, in nats, below which a point is a mode."""
_SAME = 1.0
"""Squared distance, in the Hessian's metric, within which two points are one mode."""


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode of exp(-V).

    Attributes:
        x: The location m, shape ``(d,)``.
        potential: V at m, nats.
        hessian: The Hessian H of V at m, eigenvalues clamped from below, shape ``(d, d)``.
        log_mass: log of exp(-V) det(H / 2 pi)^(-1/2), Laplace's approximation, nats.
    """

    x: Tensor
    potential: float
    hessian: Tensor
    log_mass: float

    def distance(self, points: Tensor) -> Tensor:
        """Return (x - m)^T H (x - m), shape ``(n,)``."""
        away = points - self.x
        return ((away @ self.hessian) * away).sum(1)


def hessian(score: Callable[[Tensor], Tensor], x: Tensor, width: Tensor) -> Tensor:
    """Return the Hessian of V at one point by central differences of the score, ``(d, d)``.

    Args:
        score: -grad V, from shape ``(n, d)`` to ``(n, d)``.
        x: The point, shape ``(d,)``.
        width: The scale of each coordinate, shape ``(d,)``; a difference spans 2e-4 of it.

    Example:
        >>> one = torch.ones(2).double()
        >>> bool(torch.allclose(hessian(lambda x: -3 * x, one, one), 3 * torch.eye(2).double()))
        True
    """
    steps = torch.diag(1e-4 * width)
    matrix = -(score(x + steps) - score(x - steps)) / (2e-4 * width)[:, None]
    return (matrix + matrix.T) / 2


def distinct_modes(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    points: Tensor,
    width: Tensor,
    most: int = 40,
) -> list[Mode]:
    """Return the modes among the ends of climbs, the deepest first.

    Args:
        potential: V, from shape ``(n, d)`` to ``(n,)``.
        score: -grad V, from shape ``(n, d)`` to ``(n, d)``.
        points: Ends of climbs, shape ``(n, d)``.
        width: The scale of each coordinate, shape ``(d,)``.
        most: Number of modes at most.
    """
    values = potential(points)
    usable = torch.isfinite(values) & torch.isfinite(points).all(1)
    points, values = points[usable], values[usable]
    modes: list[Mode] = []
    for i in values.argsort().tolist():
        x = points[i]
        if any(float(mode.distance(x[None])) < _SAME for mode in modes):
            continue
        made = _mode(score, x, float(values[i]), width)
        if made is not None:
            modes.append(made)
        if len(modes) == most:
            break
    return modes


def _mode(score: Callable[[Tensor], Tensor], x: Tensor, value: float, width: Tensor) -> Mode | None:
    curvature = hessian(score, x, width)
    if not bool(torch.isfinite(curvature).all()):
        return None
    eigenvalues, vectors = torch.linalg.eigh(curvature)
    # The curvature along a ridge is zero; its width is then at most the scale of the target.
    clamped = eigenvalues.clamp_min(0.01 / float(width.max()) ** 2)
    slope = vectors.T @ score(x[None])[0]
    if float((slope.square() / clamped).sum()) > _DECREMENT:
        return None
    log_mass = -value - float((clamped / (2 * math.pi)).log().sum()) / 2
    return Mode(x, value, (vectors * clamped) @ vectors.T, log_mass)
