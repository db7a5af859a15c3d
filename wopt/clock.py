"""The one place that reads clocks: wall and processor seconds since a moment."""

from __future__ import annotations

import time


class Stopwatch:
    """Counts the seconds since it was made.

    Example:
        >>> watch = Stopwatch()
        >>> watch.wall >= 0, watch.cpu >= 0
        (True, True)
    """

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @staticmethod
    def of_process() -> float:
        """Return the processor seconds of this process since it began, imports included, s."""
        return time.process_time()

    @property
    def wall(self) -> float:
        """Wall seconds, s."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Processor seconds of all threads, which is what budgets count, s."""
        return time.process_time() - self._cpu
