"""Log-dets by differences in float64: independent of autograd and of the training precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_STEP = 1e-4
"""Step of the differences, relative to 1 + |x|. They are of fourth order, in float64; near a bend
of the map they are less accurate."""


def slopes(move: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the derivative of a map of one variable, applied to each entry, in the shape of x.

        T'(x) ~ (8 (T(x + s) - T(x - s)) - (T(x + 2 s) - T(x - 2 s))) / (12 s)

    The differences show what the map does in floating point: 0 where T is flat to rounding.

    Args:
        x: Points of any shape, float64.

    Example:
        >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64)
        >>> slopes(torch.exp, x) / x.exp()
        tensor([1.0000, 1.0000], dtype=torch.float64)
    """
    step = _STEP * (1 + x.abs())
    near = move(x + step) - move(x - step)
    wide = move(x + 2 * step) - move(x - 2 * step)
    return (8 * near - wide) / (12 * step)


def difference_log_det(move: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return log |det DT| at each row in nats, shape ``(n,)``, by 4 d evaluations of T.

    Args:
        move: The map T, row by row, shape ``(n, d)`` to ``(n, d)``.
        x: Points, shape ``(n, d)``, float64.

    Example:
        >>> x = torch.randn(5, 2, dtype=torch.float64)
        >>> a = torch.tensor([[2.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
        >>> difference_log_det(lambda x: x @ a.T, x).exp()
        tensor([6.0000, 6.0000, 6.0000, 6.0000, 6.0000], dtype=torch.float64)
    """
    columns = []
    for j in range(x.shape[1]):
        way = torch.zeros_like(x)
        way[:, j] = _STEP * (1 + x[:, j].abs())
        near = move(x + way) - move(x - way)
        wide = move(x + 2 * way) - move(x - 2 * way)
        columns.append((8 * near - wide) / (12 * way[:, j : j + 1]))
    return torch.linalg.slogdet(torch.stack(columns, dim=2))[1]
