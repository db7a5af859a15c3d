"""The log of a run."""

from __future__ import annotations

import time
from pathlib import Path

from wopt.files import cannot_write
from wopt.interfaces.listener import Listener
from wopt.reading import appending, printable
from wopt.store.result import RunResult
from wopt.train.record import StepRecord

__all__ = ["RunLog"]


class RunLog(Listener):
    """A listener that writes ``log.txt``.

    Args:
        path: The file, to which lines are appended.
    """

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
        """Write a line with the time; line breaks and control characters are escaped.

        Raises:
            RunError: The file cannot be written, or is a link.
        """
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            appending(self.path, f"{stamp} {printable(text, one_line=True)}\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error
