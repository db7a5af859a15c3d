"""The losses of a run by iteration, thinned, one line for each step."""

from __future__ import annotations

from pathlib import Path

from wopt.interfaces.listener import Listener
from wopt.store.documents import read_lines, write_lines
from wopt.store.result import Losses

__all__ = ["LossLog", "thinned_losses"]

_POINTS = 200


class LossLog(Listener):
    """A listener that writes ``losses.jsonl``: smoothed losses at up to 200 iterations a step.

    A step that was trained again has all its trainings in one line, with iterations counted on.

    Args:
        path: The file, to which lines are appended; lines of repeated steps are replaced.

    Raises:
        DamagedError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = read_lines(path, Losses, "delete it: only the curves of the loss are lost")
        self._of = (0, "")
        self._before = self._last = 0
        self._seen: list[tuple[int, float]] = []

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Remember a loss; candidates that are checked and not trained have none."""
        if done == 0:
            return
        if (step, what) != self._of:
            self._begin(step, what)
        if done <= self._last:  # trained again
            self._before += self._last
        self._last = done
        self._seen.append((self._before + done, loss))

    def keep(self, step: int) -> None:
        """Write the losses of a step; called before the step is saved, so that none is lost."""
        of, what = self._of
        if of == step and self._seen:
            iterations, losses = zip(*thinned_losses(self._seen, _POINTS), strict=True)
            before = [line for line in self._lines if line.step < step]
            self._lines = [*before, Losses(step, what, iterations, losses)]
            write_lines(self.path, self._lines)
        self._begin(0, "")

    def _begin(self, step: int, what: str) -> None:
        self._of = (step, what)
        self._before = self._last = 0
        self._seen = []


def thinned_losses(seen: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return at most ``most`` pairs, evenly spaced, including the first and the last.

    Example:
        >>> [k for k, _ in thinned_losses([(k, 0.0) for k in range(1, 1001)], 5)]
        [1, 251, 501, 750, 1000]
    """
    if len(seen) <= most:
        return seen
    return [seen[round(k * (len(seen) - 1) / (most - 1))] for k in range(most)]
