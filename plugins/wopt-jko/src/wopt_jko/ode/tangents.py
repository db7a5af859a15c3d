"""Tangents of a layered net carried forward: what an exact divergence takes beyond two layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["by_rows"]

_NUMBERS = 2**22
"""Numbers in the tangents of one chunk of rows at most."""


def by_rows(function: Callable[..., Tensor], numbers: int, *rows: Tensor) -> Tensor:
    """Return ``function(*rows)``, shape ``(n,)``, on chunks of rows.

    Args:
        function: Of tensors that share their rows.
        numbers: How many numbers the function holds for each row.
        rows: Its arguments.
    """
    size = max(1, _NUMBERS // numbers)
    if len(rows[0]) <= size:
        return function(*rows)
    chunks = zip(*(x.split(size) for x in rows), strict=True)
    return torch.cat([function(*chunk) for chunk in chunks])
