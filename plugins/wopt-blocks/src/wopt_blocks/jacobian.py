"""Base of the blocks that compute their whole derivative DT."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import wopt
from wopt import Capability
from wopt.bijection import given
from wopt_blocks.newton import newton

_NUMBERS = 2**24
"""Most numbers in one tensor: rows are cut into chunks accordingly."""


class JacobianBlock(wopt.FlowBlock):
    """A map given by (T(z; c), D_z T(z; c)), from which log-det, inverse and the rest follow.

    c are conditions, ``None`` if there are none. The paths from z to T(z; c) are straight, so the
    action, where a subclass provides it, is |T(z; c) - z|^2; that is valid only where they do not
    cross, that is where (1 - t) id + t T stays invertible.
    """

    provides = (
        Capability.LOG_DET
        | Capability.INVERSE
        | Capability.HALF_WAY
        | Capability.VELOCITY
        | Capability.CONDITION
    )

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @abc.abstractmethod
    def value(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return T(z; c), shapes ``(n, d)`` and ``(n, k)`` to ``(n, d)``."""

    @abc.abstractmethod
    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ``(T(z; c), D_z T)``; the derivative has shape ``(n, d, d)`` or ``(1, d, d)``."""

    def hint(self) -> str:
        """Return what to do when the inverse fails."""
        return "the map is not invertible there"

    def floats_a_row(self) -> int:
        """Return how many numbers the largest tensor of a derivative holds for one row."""
        return self.dim**2

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x; c), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""

        def both(x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            """Return both for some rows, shapes ``(m, d)`` and ``(m,)``."""
            value, derivative = self.linearise(x, c)
            return value, _log_det(derivative, len(x))

        return self._chunked(both, x, c)

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return T(x; c), shape ``(n, d)``, without any derivative."""
        return self.value(x, c)

    def forward_with_action(
        self, x: Tensor, c: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return T(x; c) ``(n, d)``, its log-det ``(n,)`` in nats and |T(x; c) - x|^2 ``(n,)``.

        Points move on straight lines.
        """
        if Capability.ACTION not in self.provides:
            return super().forward_with_action(x, c)
        y, log_det = self(x, c)
        return y, log_det, (y - x).square().sum(1)

    def half_way(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x + T(x; c))/2 ``(n, d)`` and log |det (I + DT)/2| ``(n,)`` in nats."""

        def half(x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            """Return both for some rows, shapes ``(m, d)`` and ``(m,)``."""
            value, derivative = self.linearise(x, c)
            mean = (derivative + _eye(derivative)) / 2
            return (x + value) / 2, _log_det(mean, len(x))

        return self._chunked(half, x, c)

    def velocity(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x; c) - x, shape ``(n, d)``, and its divergence, shape ``(n,)``."""

        def displacement(x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            """Return both for some rows, shapes ``(m, d)`` and ``(m,)``."""
            value, derivative = self.linearise(x, c)
            divergence = derivative.diagonal(dim1=1, dim2=2).sum(1) - x.shape[1]
            return value - x, divergence.expand(len(x))

        return self._chunked(displacement, x, c)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y; c) ``(n, d)`` and its log-det ``(n,)`` in nats; not differentiable."""

        @torch.no_grad()
        def back(y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            """Return both for some rows, shapes ``(m, d)`` and ``(m,)``."""
            x = self.preimage(y, c)
            return x, -self.audit(x, c)[1]

        return self._chunked(back, y, c)

    def preimage(self, y: Tensor, c: Tensor | None) -> Tensor:
        """Return the points that T(.; c) maps to y, shape ``(n, d)``, by Newton's method."""
        return newton(self.value, self.linearise, y, c, self.hint())

    def _chunked(self, function: Callable[..., Any], x: Tensor, c: Tensor | None) -> Any:
        """Return ``function(x, c)``, a tuple of tensors, computed in chunks of rows."""
        rows = max(1, _NUMBERS // self.floats_a_row())
        chunks = zip(*(t.split(rows) for t in given(x, c)), strict=True)
        parts = [function(*chunk) for chunk in chunks]
        if len(parts) == 1:
            return parts[0]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _log_det(derivative: Tensor, n: int) -> Tensor:
    return torch.linalg.slogdet(derivative)[1].expand(n)


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
