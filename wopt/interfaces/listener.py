"""Listeners: they receive the progress of work. The base class ignores it.

Events carry objects of higher layers, which this one does not import, so they are typed ``Any``:
records are :class:`~wopt.train.record.StepRecord`, results
:class:`~wopt.store.result.RunResult`, and certificates documents of a plugin's measurement.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Beginning:
    """Description of a run that is about to begin.

    Attributes:
        objective, scheme, source: Names of these parts.
        rows: Numbers of training, validation and test rows.
        dim: Dimension d of the rows.
        records: Records of the steps already made.
        config: The resolved configuration, where there is one.
        columns: Name and kind of each column, where the rows are of a table.
        table: What was read of a table and what was left out
            (:class:`~wopt.data.dataset.TableFacts`).
    """

    objective: str
    scheme: str
    source: str
    rows: tuple[int, ...]
    dim: int
    records: tuple[Any, ...] = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()
    table: Any = None


class Listener:
    """Receives all events and ignores them. Subclasses override the events that they use.

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
        """Receive the description of a run, after the data are loaded and the parts checked."""

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Receive progress of a piece of work.

        Args:
            what: The work, in words.
            done: Amount done.
            total: Amount in all.
            loss: The loss, where there is one.
        """

    def held_out(self, value: float) -> None:
        """Receive the value of a step's subproblem on held-out particles, during training."""

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Receive progress of the work of a step."""
        self.work(f"step {step}: {what}", done, total, loss)

    def step(self, record: Any) -> None:
        """Receive the record of an accepted step (saved, if there is a run directory)."""

    def stepped(self, state: Any) -> Any:
        """Receive the state after a step, before it is handed on.

        Returns:
            ``None``, or the state with another last record, as one that says why to stop
            (:meth:`State.stopped <wopt.train.problem.State.stopped>`).
        """

    def phase(self, what: str) -> None:
        """Receive the name of a new kind of work."""

    def warn(self, text: str) -> None:
        """Receive a warning, which does not end the work."""

    def certificate(self, certificate: Any) -> None:
        """Receive the certificate."""

    def end(self, result: Any, path: Path | None = None) -> None:
        """Receive the result, written to the run directory ``path`` if there is one."""


SILENT = Listener()
"""A listener that ignores all events."""


class OfStep(Listener):
    """Passes a solver's progress on as that of a step."""

    def __init__(self, listener: Listener, step: int, what: str) -> None:
        self.listener, self.step_made, self.what = listener, step, what

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Pass on the progress of the step."""
        self.listener.progress(self.step_made, self.what, done, total, loss)

    def held_out(self, value: float) -> None:
        """Pass on the value."""
        self.listener.held_out(value)


def _to_all(event: str) -> Any:
    def tell(self: Listeners, *args: Any, **kwargs: Any) -> None:
        for each in self.listeners:
            getattr(each, event)(*args, **kwargs)

    return tell


class Listeners(Listener):
    """Passes events on to several listeners, in order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = tuple(listeners)

    def stepped(self, state: Any) -> Any:
        """Hand the state from one to the next."""
        for each in self.listeners:
            state = each.stepped(state) or state
        return state

    begin, work, progress = _to_all("begin"), _to_all("work"), _to_all("progress")
    held_out = _to_all("held_out")
    step, phase, warn = _to_all("step"), _to_all("phase"), _to_all("warn")
    certificate, end = _to_all("certificate"), _to_all("end")
