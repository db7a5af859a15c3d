"""Means of a kernel over pairs of points, with flat memory in both passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wopt.errors import DataError
from wopt_functionals.pairs.kernel import PairKernel

_AREA = 2**18
"""Numbers in the largest temporary array, 2 MB: larger ones are slower, since the system allocates
them anew every time."""


def kernel_cross_mean(kernel: PairKernel, x: Tensor, w: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return  sum_ij w_i v_j k(x_i, y_j), a scalar, differentiable in ``x``.

    Args:
        x: Rows, shape ``(n, f)``.
        w: Weights of x, shape ``(n,)``, summing to one.
        y: Rows, shape ``(m, f)``.
        v: Weights of y, shape ``(m,)``, summing to one.

    Example:
        >>> from wopt_functionals.pairs.kernel import RadialKernel
        >>> x, y = torch.zeros(1, 2), torch.tensor([[0.0, 4.0], [3.0, 0.0]])
        >>> half = torch.tensor([0.5, 0.5])
        >>> float(kernel_cross_mean(RadialKernel(lambda s: s), x, torch.ones(1), y, half))
        12.5
    """
    return _mean(x, w, y, v, kernel, None)


def within(kernel: PairKernel, x: Tensor, w: Tensor, *, diagonal: bool) -> Tensor:
    """Return  sum_ij w_i w_j k(x_i, x_j), shape ``()``, differentiable in ``x``.

    The kernel is symmetric; rows are ``(n, f)``, weights ``(n,)``. Without the ``diagonal`` the
    pairs i = j are left out and the rest is divided by their weight, 1 - sum_i w_i^2.
    """
    total = _mean(x, w, x.detach(), w, kernel, diagonal)
    return total if diagonal else total / _off_diagonal(w)


@torch.no_grad()
def rows_between(kernel: PairKernel, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return  sum_j v_j k(x_i, y_j)  for every i, shape ``(n,)``, without derivatives."""
    return _rows(kernel, x, y, v)


@torch.no_grad()
def rows_within(kernel: PairKernel, x: Tensor, w: Tensor, *, diagonal: bool) -> Tensor:
    """Return  sum_j w_j k(x_i, x_j)  for every i, shape ``(n,)``, normalised as :func:`within`."""
    rows = _rows(kernel, x, x, w, diagonal=diagonal)
    return rows if diagonal else rows / _off_diagonal(w)


def _rows(kernel: PairKernel, x: Tensor, y: Tensor, v: Tensor, *, diagonal: bool = True) -> Tensor:
    rows = kernel.without_pairs(x, y, v)
    if rows is not None:
        return rows
    parts = [
        kernel.block(x[i : i + b], y, v, diagonal=None if diagonal else i, slopes=False)[0]
        for i, b in _blocks(kernel, x, y)
    ]
    return torch.cat(parts)


class _Mean(torch.autograd.Function):
    """The double sum, with its gradient computed block by block in the forward pass.

    Autograd would keep every block for the backward pass; the gradient is only ``(n, f)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        y: Tensor,
        v: Tensor,
        kernel: PairKernel,
        same: bool | None,
    ) -> Tensor:
        """Return the sum, shape ``()``; ``same`` says that y is x, with or without diagonal."""
        slopes = bool(ctx.needs_input_grad[0])
        # float64 for the sum of many terms, whatever the points are.
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        gradient = torch.empty_like(x) if slopes else None
        for i, b in _blocks(kernel, x, y):
            diagonal = i if same is False else None
            values, derivatives = kernel.block(x[i : i + b], y, v, diagonal=diagonal, slopes=slopes)
            total += torch.dot(w[i : i + b].double(), values.double())
            if gradient is not None and derivatives is not None:
                gradient[i : i + b] = w[i : i + b, None] * derivatives
        if gradient is not None:
            # Of a symmetric kernel both arguments have the same derivative.
            ctx.save_for_backward(gradient if same is None else 2 * gradient)
        return total.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """Return the scaled gradient of the forward pass, in the shape of x."""
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None, None, None, None, None


def _mean(
    x: Tensor, w: Tensor, y: Tensor, v: Tensor, kernel: PairKernel, same: bool | None
) -> Tensor:
    rows = kernel.without_pairs(x, y, v)
    if rows is not None:
        # Of a symmetric kernel half of the derivative comes from either argument.
        return w @ (rows if same is None else 2 * rows - rows.detach())
    return _Mean.apply(x, w, y, v, kernel, same)  # type: ignore[no-untyped-call]


def _blocks(kernel: PairKernel, x: Tensor, y: Tensor) -> list[tuple[int, int]]:
    """Return the first row and the size of each block."""
    size = max(1, _AREA // (len(y) * kernel.numbers_per_pair(x.shape[1])))
    return [(i, size) for i in range(0, len(x), size)]


def _off_diagonal(w: Tensor) -> Tensor:
    if len(w) < 2:
        raise DataError("a mean over pairs of different particles needs at least two particles")
    return 1 - w.square().sum()
