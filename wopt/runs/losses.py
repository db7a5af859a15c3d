"""The loss by iteration of a run: a thinned line for each training of a step."""

from __future__ import annotations

import json
from pathlib import Path

from wopt.interfaces.listener import Listener
from wopt.store.result import Losses
from wopt.train.record import StepRecord

__all__ = ["LossLog", "thinned"]

_POINTS = 200


class LossLog(Listener):
    """Writes ``losses.jsonl``: of each step the smoothed training loss at up to 200 iterations.

    A step that was trained again has all its trainings in one line, the iterations counted on.

    Args:
        path: The file, which is added to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of = (0, "")
        self._before = self._last = 0
        self._seen: list[tuple[int, float]] = []

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Remember a loss; a candidate that is checked, not trained, has none."""
        if done == 0:
            return
        if (step, what) != self._of:
            self._begin(step, what)
        if done <= self._last:  # trained again
            self._before += self._last
        self._last = done
        self._seen.append((self._before + done, loss))

    def step(self, record: StepRecord) -> None:
        """Write what the accepted step was trained with."""
        step, what = self._of
        if step == record.step and self._seen:
            iterations, losses = zip(*thinned(self._seen, _POINTS), strict=True)
            line = Losses(step, what, iterations, losses)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line.to_dict()) + "\n")
        self._begin(0, "")

    def _begin(self, step: int, what: str) -> None:
        self._of = (step, what)
        self._before = self._last = 0
        self._seen = []


def thinned(seen: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return at most so many of the pairs, evenly spaced, the first and the last among them.

    Example:
        >>> [k for k, _ in thinned([(k, 0.0) for k in range(1, 1001)], 5)]
        [1, 251, 501, 750, 1000]
    """
    if len(seen) <= most:
        return seen
    return [seen[round(k * (len(seen) - 1) / (most - 1))] for k in range(most)]
