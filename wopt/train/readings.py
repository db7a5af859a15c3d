"""Losses of iterations: read one by one on the CPU, and many at a time from a device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.interfaces.listener import Listener

__all__ = ["Readings"]


class Readings:
    """The losses of a training as they are read, smoothed and reported.

    On the CPU every loss is read before its gradient is computed, so that one that is not finite
    moves nothing. Reading from a device waits for its queue, so losses are kept there and read
    ``every`` so many; a block whose loss was not finite meanwhile has to be discarded.

    Args:
        total: Iterations planned.
        every: Number of losses of a device that are read together.
        listener: Receives each loss.

    Attributes:
        smooth: The loss, smoothed over iterations.
        bad: The first iteration, 1, 2, ..., whose loss was not finite, and that loss.

    Example:
        >>> from wopt.interfaces.listener import SILENT
        >>> readings = Readings(3, 50, SILENT)
        >>> [readings.take(torch.tensor(v)) for v in (2.0, 1.0, math.nan)]
        [True, True, False]
        >>> readings.bad
        (3, nan)
    """

    def __init__(self, total: int, every: int, listener: Listener) -> None:
        self.total, self.every, self.listener = total, every, listener
        self.smooth = math.nan
        self.bad: tuple[int, float] | None = None
        self._count = 0
        self._waiting: list[Tensor] = []
        self._untold: list[float] = []

    def take(self, loss: Tensor) -> bool:
        """Take the next loss, shape ``()``; return whether all that were read are finite."""
        self._waiting.append(loss.detach())
        if loss.device.type == "cpu" or len(self._waiting) == self.every:
            return self.read()
        return True

    def read(self) -> bool:
        """Read the losses that wait; return whether all that were read are finite."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return self.bad is None
        for loss in [waiting[0].item()] if len(waiting) == 1 else _fetched(waiting):
            self._count += 1
            if not math.isfinite(loss):
                self.bad = self.bad or (self._count, loss)
                return False
            self._untold.append(loss)
        return True

    def tell(self) -> None:
        """Report the iterations whose losses were read to the listener."""
        first = self._count - len(self._untold)
        for done, now in enumerate(self._untold, first + 1):
            self.smooth = now if math.isnan(self.smooth) else 0.95 * self.smooth + 0.05 * now
            self.listener.work("training", done, self.total, self.smooth)
        self._untold.clear()


def _fetched(losses: list[Tensor]) -> list[float]:
    found: list[float] = torch.stack(losses).cpu().tolist()
    return found
