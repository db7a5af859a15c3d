"""Progress in a notebook, on a terminal or to a listener, of work called for from Python."""

from __future__ import annotations

import html
import importlib
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wopt.component import name_of
from wopt.config.model import RunConfig
from wopt.html import paragraph, table
from wopt.interfaces.listener import Beginning, Listener, Listeners
from wopt.interfaces.tracker import Tracked, Tracker
from wopt.permission import allowed
from wopt.runs.terminal import COLUMNS, PatientConsole, Terminal, introduction, step_cells
from wopt.store.result import RunResult
from wopt.train.record import StepRecord

__all__ = [
    "ListenerLike",
    "Notebook",
    "in_notebook",
    "listener_of",
    "permitted",
    "steps_table",
    "with_tracker",
]

_PAUSE = 0.3
"""Least seconds between two drawings, since a notebook is slower than training."""


def in_notebook() -> bool:
    """Return whether an IPython kernel, whose front end shows HTML, runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def steps_table(records: tuple[StepRecord, ...] | list[StepRecord]) -> str:
    """Return the steps as an HTML table, with the columns of the terminal."""
    return table([name for name, _ in COLUMNS], [step_cells(record) for record in records])


class Notebook(Listener):
    """A listener that shows a live table of steps, a progress bar and warnings.

    Example:
        >>> shown = []
        >>> Notebook(shown.append).warn("the disk is nearly full")
        >>> shown
        ['<p>warning: the disk is nearly full</p>']
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show = show or _cell_output()
        self._head = ""
        self._records: list[StepRecord] = []
        self._bar = self._known = ""
        self._notes: list[str] = []
        self._work, self._began, self._drawn = "", 0.0, 0.0

    def begin(self, begun: Beginning) -> None:
        """Show the introduction, and the steps that already exist."""
        self._head = paragraph(introduction(begun))
        self._records = list(begun.records)
        self._notes, self._bar = [], ""
        self._draw()

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Move the bar."""
        now = time.monotonic()
        if what != self._work:
            self._work, self._began = what, now
        elif now - self._drawn < _PAUSE and done < total:
            return
        left = "" if not done else f", {(now - self._began) * (total - done) / done:.0f} s left"
        note = self._known if math.isnan(loss) else f", loss {loss:.4f}{self._known}"
        self._bar = (
            f'<p><progress value="{int(done)}" max="{int(total)}"></progress> '
            f"{html.escape(what)} {int(done)}/{int(total)}{note}{left}</p>"
        )
        self._draw()

    def held_out(self, value: float) -> None:
        """Keep the held-out value for the bar."""
        self._known = f", held out {value:.4g}"

    def step(self, record: StepRecord) -> None:
        """Add the step's row, and its retries below the table."""
        self._records.append(record)
        self._notes += [f"step {record.step}: {attempt}" for attempt in record.attempts]
        self._bar = ""
        self._draw()

    def phase(self, what: str) -> None:
        """Show the phase."""
        self._bar = paragraph(f"{what} ...")
        self._draw()

    def warn(self, text: str) -> None:
        """Add a warning."""
        self._notes.append(f"warning: {text}")
        self._draw()

    def end(self, result: RunResult | None, path: Path | None = None) -> None:
        """Remove the bar."""
        self._bar = ""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        steps = steps_table(self._records) if self._records else ""
        notes = "".join(paragraph(note) for note in self._notes)
        self._show(self._head + steps + self._bar + notes)


def _cell_output() -> Callable[[str], None]:
    """Return a function that shows HTML in the cell's output, in place of the last."""
    shown: Any = importlib.import_module("IPython.display")
    handle: Any = None

    def show(text: str) -> None:
        nonlocal handle
        if handle is None:
            handle = shown.display(shown.HTML(text), display_id=True)
        else:
            handle.update(shown.HTML(text))

    return show


ListenerLike = Listener | Callable[[int, str, int, int, float], None] | bool | None
"""A listener; a function of step, kind of work, done, total and loss; or whether to print: ``None``
prints on a terminal and in a notebook."""


class _Quiet(Listener):
    """A listener that shows nothing; warnings are Python's."""

    def warn(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Calls(_Quiet):
    """A listener that calls a function on progress."""

    def __init__(self, function: Callable[[int, str, int, int, float], None]) -> None:
        self.function = function

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Call the function."""
        self.function(step, what, done, total, loss)


QUIET = _Quiet()


def listener_of(choice: ListenerLike, nobody: Listener = QUIET) -> Listener:
    """Return the listener that a choice names.

    Args:
        choice: The choice.
        nobody: Listener for no output.

    Example:
        >>> type(listener_of(False)).__name__, type(listener_of(True)).__name__
        ('_Quiet', 'Terminal')
    """
    if isinstance(choice, Listener):
        return choice
    if callable(choice):
        return _Calls(choice)
    if choice is not False and in_notebook():
        return Notebook()
    console = PatientConsole(highlight=False, soft_wrap=True)
    seen = choice is None and console.is_terminal
    return Terminal(console) if choice or seen else nobody


def with_tracker(listener: Listener, tracker: Tracker | None) -> Listener:
    """Return a listener that also calls a tracker, with the tracker's errors as warnings."""
    if tracker is None:
        return listener
    return Listeners([listener, Tracked(tracker, listener.warn)])


def permitted(config: RunConfig, listener: Listener, path: Path) -> RunConfig:
    """Return the configuration of a resumed run, without its tracker unless that is allowed."""
    if config.tracker is None or allowed("tracker"):
        return config
    listener.warn(
        f"the tracker {name_of(config.tracker)!r} is not told: {path} names it, which may be "
        "another's, and a tracker writes where its options say. Read them, then allow it with "
        "--allow-tracker (in Python: with wopt.allow_tracker():)"
    )
    return config.model_copy(update={"tracker": None})
