"""Progress in a notebook, on a terminal or to a listener, of work called for from Python."""

from __future__ import annotations

import html
import importlib
import io
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from wopt.component import name_of
from wopt.config.model import RunConfig
from wopt.html import table
from wopt.interfaces.listener import Listener, Listeners
from wopt.interfaces.tracker import Tracked, Tracker
from wopt.permission import allowed
from wopt.runs.terminal import COLUMNS, PatientConsole, Terminal, step_cells
from wopt.train.record import StepRecord

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


class _Cell(io.StringIO):
    """What was printed, shown in a notebook's cell above a bar, in place of what it showed."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self.show, self.bar = show, ""

    def flush(self) -> None:
        """Show it."""
        self.show(f"<pre>{html.escape(self.getvalue())}</pre>{self.bar}")


class Notebook(Terminal):
    r"""A terminal in a notebook's cell: steps, phases and warnings, above a bar.

    Args:
        show: Function that shows HTML in place of the last; by default in the cell's output.

    Example:
        >>> shown = []
        >>> Notebook(shown.append).warn("the disk is nearly full")
        >>> shown[-1]
        '<pre>warning: the disk is nearly full\n</pre>'
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self.cell, self._drawn = _Cell(show or _cell_output()), 0.0
        console = Console(file=self.cell, force_jupyter=False, soft_wrap=True, highlight=False)
        super().__init__(console, verbose=True)

    def close(self) -> None:
        """Remove the bar."""
        self.cell.bar = ""
        self.cell.flush()

    def _show(self, what: str, note: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if total is not None and done < total and now - self._drawn < _PAUSE:
            return
        self._drawn = now
        value = "" if total is None else f' value="{int(done)}" max="{int(total)}"'
        words = html.escape(f"{what} {note}{self.known}")
        self.cell.bar = f"<p><progress{value}></progress> {words}</p>"
        self.cell.flush()


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
    """Return the listener that a choice names."""
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
