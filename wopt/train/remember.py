"""Blocks that cache the audited images of rows, which are expensive to compute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock

__all__ = ["remembering"]


class _Remembered:
    """A block with the audited images of the rows it has seen."""

    def __init__(self, block: FlowBlock, parts: bool) -> None:
        self._block, self._parts = block, parts
        self._seen: list[tuple[Tensor, tuple[Tensor, Tensor]]] = []

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cached or computed T(x), ``(n, d)``, and log |det DT(x)|, ``(n,)``."""
        n = len(x)
        for known, (y, log_det) in self._seen:
            fits = n <= len(known) if self._parts else n == len(known)
            if fits and torch.equal(known[:n], x):
                return y[:n], log_det[:n]
        image = self._block.audit(x)
        self._seen.append((x, image))
        return image

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        image: tuple[Tensor, Tensor] = self._block(x)
        return image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)


def remembering(blocks: Iterable[FlowBlock], *, parts: bool) -> list[FlowBlock]:
    """Return blocks that audit the same rows once.

    A grid that refines itself, and rounding, make an image depend a little on the rows beside it.
    Results that must not depend on earlier computations therefore need whole tensors.

    Args:
        blocks: T_1, ..., T_N.
        parts: Whether the first rows of a known tensor are taken from its image.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> (block,) = remembering([AffineBlock(2)], parts=True)
        >>> x = torch.randn(5, 2)
        >>> block.audit(x)[0].data_ptr() == block.audit(x[:3])[0].data_ptr()
        True
    """
    return [cast(FlowBlock, _Remembered(block, parts)) for block in blocks]
