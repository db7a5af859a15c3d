"""Ctrl-C in a run of several processes: noted by one, raised by all at the same point."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupt"]

_SAME = 2.0
"""Seconds within which a second signal counts as the first, passed on by the launcher."""


class Interrupt:
    """The Ctrl-C of one process, until all processes raise it.

    Attributes:
        noted: Whether this process was interrupted and has not raised yet.
    """

    noted = False

    def heed(self, anyone: bool) -> None:
        """Raise if any process was interrupted; ``anyone`` has to be agreed on by all."""
        if anyone:
            self.noted = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note the first Ctrl-C inside, for all processes; a later one interrupts at once."""
        first: float | None = None

        def note(_: int, __: FrameType | None) -> None:
            nonlocal first
            now = time.monotonic()
            if first is not None and now - first > _SAME:
                raise KeyboardInterrupt
            if first is None:
                first, self.noted = now, True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self.noted = False
