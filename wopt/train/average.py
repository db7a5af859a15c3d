"""The exponential moving average of a block's parameters."""

from __future__ import annotations

import copy

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wopt.interfaces.block import FlowBlock

__all__ = ["Average"]


class Average:
    """A copy of a block with averaged parameters and the last buffers.

    torch's ``AveragedModel`` computes the same, but reads a counter from the device at every
    update, which waits for the device.

    Args:
        block: The block to copy.
        decay: Decay of the average, which begins at the first parameters seen.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> block = AffineBlock(1)
        >>> average = Average(block, 0.75)
        >>> for shift in (0.0, 4.0):
        ...     _ = block.shift.data.fill_(shift)
        ...     average.update(block)
        >>> average.block.shift.tolist()
        [1.0]
    """

    def __init__(self, block: FlowBlock, decay: float) -> None:
        self.block = copy.deepcopy(block)
        self._average = get_ema_multi_avg_fn(decay)
        self._begun = False

    @torch.no_grad()
    def update(self, block: FlowBlock) -> None:
        """Update the average with the parameters of a block."""
        own, new = ([p.detach() for p in of.parameters()] for of in (self.block, block))
        if self._begun:
            self._average(own, new, None)
        else:
            for mine, theirs in zip(own, new, strict=True):
                mine.copy_(theirs)
            self._begun = True
        for mine, theirs in zip(self.block.buffers(), block.buffers(), strict=True):
            mine.copy_(theirs)
