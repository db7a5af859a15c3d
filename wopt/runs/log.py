"""What a run writes as it goes: a log of what happens, its losses, the versions in use."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path

import torch

from wopt.files import cannot_write
from wopt.host import host
from wopt.interfaces.listener import Listener
from wopt.reading import appending, printable
from wopt.store.documents import read_lines, write_lines
from wopt.store.result import Losses, RunResult
from wopt.train.problem import State
from wopt.train.record import StepRecord


def versions() -> dict[str, str]:
    """Return the versions of Python, torch, the core and the plugins."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "wopt-core": version("wopt-core"),
        **host().versions(),
    }


_POINTS = 200


class LossLog(Listener):
    """A listener that writes ``losses.jsonl``: smoothed losses at up to 200 iterations a step.

    A step that was trained again has all its trainings in one line, with iterations counted on.
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

    def stepped(self, state: State) -> None:
        """Write the losses of a step; called before the step is saved, so that none is lost."""
        self.keep(state.step)

    def keep(self, step: int) -> None:
        """Write the losses of a step."""
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
    """Return at most ``most`` pairs, evenly spaced, including the first and the last."""
    if len(seen) <= most:
        return seen
    return [seen[round(k * (len(seen) - 1) / (most - 1))] for k in range(most)]


class RunLog(Listener):
    """A listener that writes ``log.txt``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def step(self, record: StepRecord) -> None:
        """Write the step with its retries."""
        self.write(
            f"step {record.step}: h {record.step_size:g}, energy {record.energy:.6g}, "
            f"retries {record.retries}" + "".join(f"; {a}" for a in record.attempts)
        )

    def phase(self, what: str) -> None:
        """Write the phase that begins."""
        self.write(what)

    def warn(self, text: str) -> None:
        """Write the warning."""
        self.write(text)

    def end(self, result: RunResult, path: Path | None = None) -> None:
        """Write how the run ended."""
        self.write(f"{result.status}: {result.reason}")

    def write(self, text: str) -> None:
        """Write a line with the time; line breaks and control characters are escaped."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            appending(self.path, f"{stamp} {printable(text, one_line=True)}\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error
