"""Kernels of pairs: sums over a block of pairs, and their derivatives."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor


class PairKernel(abc.ABC):
    """A symmetric function k(x, y) of two rows of numbers."""

    @abc.abstractmethod
    def block(
        self, x: Tensor, y: Tensor, v: Tensor, *, diagonal: int | None, slopes: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return  sum_j v_j k(x_i, y_j), shape ``(b,)``, and its derivative by x_i, ``(b, f)``.

        Args:
            x: Rows, shape ``(b, f)``.
            y: Rows, shape ``(m, f)``.
            v: Weights of y, shape ``(m,)``.
            diagonal: Number whose pairs (i, diagonal + i) are left out; ``None`` keeps all pairs.
            slopes: Whether to compute the derivative.
        """

    def numbers_per_pair(self, width: int) -> int:
        """Return how many numbers are held per pair of rows of this width."""
        return 1

    def without_pairs(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor | None:
        """Return  sum_j v_j k(x_i, y_j), shape ``(n,)``, differentiable in x, by less than pairs.

        Return ``None`` if there is no such way. Pairs of a point with itself count too, so k(x, x)
        has to be zero where there is one.
        """
        return None


class RadialKernel(PairKernel):
    """k(x, y) = profile(|x - y|^2), for a profile that works elementwise in torch.

    Where points coincide the derivative by x is taken to be zero.
    """

    def __init__(self, profile: Callable[[Tensor], Tensor]) -> None:
        self.profile = profile

    def block(
        self, x: Tensor, y: Tensor, v: Tensor, *, diagonal: int | None, slopes: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return sums and derivatives, shapes ``(b,)`` and ``(b, f)``, as in the base class."""
        # By differences, not by |x|^2 + |y|^2 - 2xy, which cancels for close points.
        squared = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()
        if diagonal is not None:
            squared.diagonal(diagonal).fill_(1)
        with torch.set_grad_enabled(slopes):
            values = self.profile(squared.requires_grad_(slopes))
            slope = torch.autograd.grad(values.sum(), squared)[0] if slopes else None
        sums = without_diagonal(values.detach(), diagonal) @ v
        if slope is None:
            return sums, None
        by_pair = without_diagonal(slope, diagonal).mul_(2 * v)
        return sums, by_pair.sum(1, keepdim=True) * x - by_pair @ y


@final
class Difference(PairKernel):
    """k(x, y) = function(x - y), even, for a function of shape ``(..., d)`` to ``(...)``."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def numbers_per_pair(self, width: int) -> int:
        """Return the length of a difference."""
        return width

    def block(
        self, x: Tensor, y: Tensor, v: Tensor, *, diagonal: int | None, slopes: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return sums and derivatives, shapes ``(b,)`` and ``(b, f)``, as in the base class."""
        difference = x.detach()[:, None, :] - y.detach()[None, :, :]
        if diagonal is not None:
            difference.diagonal(diagonal).fill_(1)
        with torch.set_grad_enabled(slopes):
            values = self.function(difference.requires_grad_(slopes))
            slope = torch.autograd.grad(values.sum(), difference)[0] if slopes else None
        sums = without_diagonal(values.detach(), diagonal) @ v
        if slope is None:
            return sums, None
        return sums, torch.einsum("bmd,m->bd", without_diagonal(slope, diagonal), v)


def root(squared: Tensor) -> Tensor:
    """Return the square root, in the argument's shape, with derivative zero at zero."""
    return squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()


def without_diagonal(values: Tensor, diagonal: int | None) -> Tensor:
    """Set values, shape ``(b, m)``, of the pairs (i, diagonal + i) to zero, in place."""
    if diagonal is not None:
        values.diagonal(diagonal).zero_()
    return values
