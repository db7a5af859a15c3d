"""Listeners: who is told how work goes on. One interface; this one is silent.

What is told is made in higher layers, which this one does not import, so it is typed ``Any`` here:
records are :class:`~wopt.train.record.StepRecord`, certificates
:class:`~wopt_certify.results.Certificate`, results :class:`~wopt.store.result.RunResult`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["SILENT", "Beginning", "Listener", "Listeners", "OfStep"]


@dataclasses.dataclass(frozen=True)
class Beginning:
    """What is about to be done.

    Attributes:
        objective, scheme, source: Names of what is minimised, how, from where.
        rows: Numbers of training, validation and test rows.
        dim: Their dimension.
        records: Of the steps that are already made.
        config: The resolved configuration, where there is one.
    """

    objective: str
    scheme: str
    source: str
    rows: tuple[int, ...]
    dim: int
    records: tuple[Any, ...] = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Listener:
    """Told of all that happens; does nothing. Subclasses override what they want to know of.

    Example:
        >>> class Count(Listener):
        ...     steps = 0
        ...     def step(self, record):
        ...         self.steps += 1
        >>> count = Count()
        >>> Listeners([count, Listener()]).step(None)
        >>> count.steps
        1
    """

    def begin(self, begun: Beginning) -> None:
        """The data are loaded and the parts fit."""

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Some of a piece of work is done.

        Args:
            what: The work, in words.
            done: How much of it.
            total: Of how much.
            loss: The loss, where there is one.
        """

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Some of the work of a step is done."""
        self.work(f"step {step}: {what}", done, total, loss)

    def step(self, record: Any) -> None:
        """A step is accepted (and saved, where there is a run directory)."""

    def phase(self, what: str) -> None:
        """Work of another kind begins."""

    def warn(self, text: str) -> None:
        """Something went wrong that does not end the work."""

    def certificate(self, certificate: Any) -> None:
        """The certificate is made."""

    def end(self, result: Any, path: Path | None = None) -> None:
        """All is done, and written to the run directory ``path`` where there is one."""


SILENT = Listener()
"""Tells nobody."""


class OfStep(Listener):
    """Passes the work of a solver on as that of a step, whose name the solver does not know.

    Args:
        listener: Who is told.
        step: 1, 2, ...
        what: What is done in it.
    """

    def __init__(self, listener: Listener, step: int, what: str) -> None:
        self.listener, self.step_made, self.what = listener, step, what

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Pass on the progress of the step."""
        self.listener.progress(self.step_made, self.what, done, total, loss)


def _to_all(event: str) -> Any:
    def tell(self: Listeners, *args: Any, **kwargs: Any) -> None:
        for each in self.listeners:
            getattr(each, event)(*args, **kwargs)

    return tell


class Listeners(Listener):
    """Passes on to several, in order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = tuple(listeners)

    begin, work, progress = _to_all("begin"), _to_all("work"), _to_all("progress")
    step, phase, warn = _to_all("step"), _to_all("phase"), _to_all("warn")
    certificate, end = _to_all("certificate"), _to_all("end")
