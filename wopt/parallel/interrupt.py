"""Ctrl-C in a run of several processes: noted by one, raised by all at the same point."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

import torch

__all__ = ["heed", "noting", "wanted"]

_SAME = 2.0
"""Seconds within which a second signal counts as the first, passed on by the launcher."""

_noted: float | None = None


def wanted() -> bool:
    """Whether this process was interrupted and has not raised yet."""
    return _noted is not None


def heed(anyone: bool) -> None:
    """Raise if any process was interrupted; ``anyone`` has to be agreed on by all.

    Raises:
        KeyboardInterrupt: A process was interrupted.
    """
    global _noted
    if anyone:
        _noted = None
        raise KeyboardInterrupt


@contextlib.contextmanager
def noting() -> Iterator[None]:
    """Note the first Ctrl-C inside, for all processes; a later one interrupts at once.

    A single process is interrupted at once.
    """
    global _noted
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        yield
        return
    first: float | None = None

    def note(_: int, __: FrameType | None) -> None:
        global _noted
        nonlocal first
        now = time.monotonic()
        if first is not None and now - first > _SAME:
            raise KeyboardInterrupt
        if first is None:
            first = _noted = now

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _noted = None
