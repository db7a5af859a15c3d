"""Tangents of a layered net carried forward: an exact divergence beyond two layers needs them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_NUMBERS = 2**22
"""Most numbers in the tangents of one chunk of rows."""


def by_rows(function: Callable[..., Tensor], numbers: int, *rows: Tensor) -> Tensor:
    """Return ``function(*rows)``, shape ``(n,)``, computed in chunks of rows.

    Args:
        function: A function of tensors with n rows each, to shape ``(n,)``.
    """
    size = max(1, _NUMBERS // numbers)
    if len(rows[0]) <= size:
        return function(*rows)
    chunks = zip(*(x.split(size) for x in rows), strict=True)
    return torch.cat([function(*chunk) for chunk in chunks])
