"""The derivative of a map at each of some rows, by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["jacobians"]


def jacobians(y: Tensor, x: Tensor) -> Tensor:
    """Return DT at each row, shape ``(n, k, d)``, of a map T that treats rows one by one.

    One backward pass an output; the graph is kept.

    Args:
        y: T(x), shape ``(n, k)``, computed with gradients enabled.
        x: Shape ``(n, d)``, which requires a gradient.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> jacobians(x.square(), x)[1].tolist()
        [[6.0, 0.0], [0.0, 8.0]]
    """
    rows = [
        torch.autograd.grad(y[:, j].sum(), x, retain_graph=True, materialize_grads=True)[0]
        for j in range(y.shape[1])
    ]
    return torch.stack(rows, dim=1)
