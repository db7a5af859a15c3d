"""Base of the blocks that compute their whole derivative DT."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import wopt
from wopt import Capability
from wopt_blocks.conditions import moved
from wopt_blocks.newton import newton

__all__ = ["JacobianBlock"]

_NUMBERS = 2**24
"""Most numbers in one tensor: rows are cut into chunks accordingly."""


class JacobianBlock(wopt.FlowBlock):
    """A map given by (T(z; c), D_z T(z; c)), from which log-det, inverse and the rest follow.

    z are the coordinates that move, c the last ``condition`` ones, which stay. The paths from x to
    T(x) are straight, so the action, where a subclass provides it, is |T(x) - x|^2; that is
    valid only where they do not cross, that is where (1 - t) id + t T stays invertible.

    Args:
        dim: Dimension d.
        condition: Number of the d coordinates that are conditions.
    """

    provides = (
        Capability.LOG_DET
        | Capability.INVERSE
        | Capability.HALF_WAY
        | Capability.VELOCITY
        | Capability.CONDITION
    )

    def __init__(self, dim: int, condition: int) -> None:
        super().__init__()
        self.moves = moved(type(self).__name__, dim, condition)

    @abc.abstractmethod
    def value(self, z: Tensor, c: Tensor) -> Tensor:
        """Return T(z; c), shapes ``(n, m)`` and ``(n, k)`` to ``(n, m)``."""

    @abc.abstractmethod
    def linearise(self, z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T(z; c), D_z T)``; the derivative has shape ``(n, m, m)`` or ``(1, m, m)``."""

    def hint(self) -> str:
        """Return what to do when the inverse fails."""
        return "the map is not invertible there"

    def floats_a_row(self) -> int:
        """Return how many numbers the largest tensor of a derivative holds for one row."""
        return self.moves**2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        return self._chunked(self._value_and_log_det, x)

    def move(self, x: Tensor) -> Tensor:
        """Return T(x), shape ``(n, d)``, without any derivative."""
        z, c = self.split(x)
        return self.joined(self.value(z, c), x)

    def forward_with_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return T(x) ``(n, d)``, its log-det ``(n,)`` in nats and |T(x) - x|^2 ``(n,)``.

        Points move on straight lines.
        """
        if Capability.ACTION not in self.provides:
            return super().forward_with_action(x)
        y, log_det = self(x)
        return y, log_det, (y - x).square().sum(1)

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x + T(x))/2 ``(n, d)`` and log |det (I + DT)/2| ``(n,)`` in nats."""

        def half(rows: Tensor) -> tuple[Tensor, Tensor]:
            """Return both for rows of shape ``(n, d)``."""
            z, c = self.split(rows)
            value, derivative = self.linearise(z, c)
            mean = (derivative + _eye(derivative)) / 2
            return self.joined((z + value) / 2, rows), _log_det(mean, len(rows))

        return self._chunked(half, x)

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x) - x, shape ``(n, d)``, and its divergence, shape ``(n,)``."""

        def displacement(rows: Tensor) -> tuple[Tensor, Tensor]:
            """Return both for rows of shape ``(n, d)``."""
            z, c = self.split(rows)
            value, derivative = self.linearise(z, c)
            divergence = derivative.diagonal(dim1=1, dim2=2).sum(1) - self.moves
            u = torch.nn.functional.pad(value - z, (0, c.shape[1]))
            return u, divergence.expand(len(rows))

        return self._chunked(displacement, x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T^-1(y) ``(n, d)`` and its log-det ``(n,)`` in nats; not differentiable.

        Raises:
            DivergenceError: Some points were not reached.
        """

        @torch.no_grad()
        def back(rows: Tensor) -> tuple[Tensor, Tensor]:
            """Return both for rows of shape ``(n, d)``."""
            z, c = self.split(rows)
            x = self.joined(self.preimage(z, c), rows)
            return x, -self.audit(x)[1]

        return self._chunked(back, y)

    def preimage(self, z: Tensor, c: Tensor) -> Tensor:
        """Return the points that T(.; c) maps to z, shape ``(n, m)``, by Newton's method."""
        return newton(self.value, self.linearise, z, c, self.hint())

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coordinates that move, shape ``(n, m)``, and the conditions, ``(n, k)``."""
        return x[:, : self.moves], x[:, self.moves :]

    def joined(self, z: Tensor, x: Tensor) -> Tensor:
        """Return z ``(n, m)`` with the conditions of x, shape ``(n, d)``."""
        return z if self.moves == x.shape[1] else torch.cat([z, x[:, self.moves :]], dim=1)

    def _value_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, derivative = self.linearise(*self.split(x))
        return self.joined(value, x), _log_det(derivative, len(x))

    def _chunked(self, function: Callable[[Tensor], Any], x: Tensor) -> Any:
        """Return ``function(x)``, a tuple of tensors, computed in chunks of rows."""
        parts = [function(rows) for rows in x.split(max(1, _NUMBERS // self.floats_a_row()))]
        if len(parts) == 1:
            return parts[0]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _log_det(derivative: Tensor, n: int) -> Tensor:
    return torch.linalg.slogdet(derivative)[1].expand(n)


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
