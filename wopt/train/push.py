"""Carrying particles through maps, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles

__all__ = ["ROWS", "in_batches", "push"]

ROWS = 8192
"""Rows that go through a map at a time, so that memory does not grow with the particles."""


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Any], x: Tensor, rows: int = ROWS) -> Any:
    """Return ``function(x)``, a tensor or a tuple of them, computed on chunks of rows."""
    parts = [function(chunk) for chunk in x.split(rows)]
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
    return torch.cat(parts)


def push(block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
    """Return the particles' image under a block."""
    if Need.LOG_DET not in block.provides:
        return particles.moved(in_batches(block.move, particles.points), None)
    return particles.moved(*in_batches(block.audit if audit else block, particles.points))
