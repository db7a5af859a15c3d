"""Jacobians of a map at rows, by autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def jacobians(y: Tensor, x: Tensor, *, create_graph: bool = False) -> Tensor:
    """Return DT at each row, shape ``(n, k, d)``, of a map T that treats rows one by one.

    It takes one backward pass an output and keeps the graph.

    Args:
        y: T(x), shape ``(n, k)``, computed with gradients enabled.
        x: Rows, shape ``(n, d)``, that require a gradient.
        create_graph: Whether the result has to be differentiable.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> jacobians(x.square(), x)[1].tolist()
        [[6.0, 0.0], [0.0, 8.0]]
    """
    rows = [
        torch.autograd.grad(
            part.sum(), x, retain_graph=True, create_graph=create_graph, materialize_grads=True
        )[0]
        for part in y.unbind(1)
    ]
    return torch.stack(rows, dim=1)


def linearised(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return T(x), shape ``(n, k)``, and DT there, ``(n, k, d)``, differentiable if enabled.

    Example:
        >>> [t.tolist() for t in linearised(torch.square, torch.tensor([[3.0]]))]
        [[[9.0]], [[[6.0]]]]
    """
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        y = function(x)
        derivative = jacobians(y, x, create_graph=keep)
    return (y, derivative) if keep else (y.detach(), derivative)
