"""Checks of values that a user's function returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wopt import DataError


def differentiable(value: Tensor, x: Tensor, what: str) -> Tensor:
    """Return the value if it is differentiable where ``x`` is.

    Args:
        value: The function's value, shape ``(n,)``.
        x: Its argument, shape ``(n, d)``.
    """
    if torch.is_grad_enabled() and x.requires_grad and not value.requires_grad:
        raise DataError(
            f"{what}'s value does not depend on its points differentiably; compute it from x in "
            "torch, without numpy, .item() or .detach()"
        )
    return value


def one_vector_a_point(value: Any, x: Tensor, what: str) -> Tensor:
    """Return the value if it is a tensor of the shape ``(n, d)`` of ``x``."""
    if not isinstance(value, Tensor) or value.shape != x.shape:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise DataError(
            f"{what} returned {shape} for points of shape {tuple(x.shape)}; it must return one "
            "vector a point, a tensor of the same shape"
        )
    return value
