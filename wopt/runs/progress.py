"""Progress on a terminal, in a notebook, or to a listener, of work called for from Python."""

from __future__ import annotations

import html
import importlib
import math
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from wopt.component import name_of
from wopt.config.model import RunConfig
from wopt.html import paragraph, table
from wopt.interfaces.listener import Beginning, Listener, Listeners
from wopt.interfaces.tracker import Tracked, Tracker
from wopt.permission import tracker_allowed
from wopt.plan import seconds_of
from wopt.reading import printable
from wopt.store.result import RunResult
from wopt.train.record import StepRecord

__all__ = [
    "COLUMNS",
    "ListenerLike",
    "Notebook",
    "Terminal",
    "in_notebook",
    "introduction",
    "listener_of",
    "permitted",
    "step_cells",
    "steps_table",
    "with_tracker",
]

COLUMNS = (
    ("step", 4),
    ("h", 8),
    ("energy", 11),
    ("change", 10),
    ("W2 moved", 9),
    ("residual>=", 10),
    ("NLL valid", 11),
    ("lik. err", 9),
    ("retries", 7),
    ("CPU s", 7),
)
"""Columns and widths; ``residual>=`` is a lower bound of the residual, by affine fields."""


_NAMED = 6
"""Names of columns of one kind that are shown at most."""
_KINDS = {"continuous": "numbers", "integer": "integers", "categorical": "categories"}


def introduction(begun: Beginning) -> str:
    """Return what was read and what is done with it, in words: two lines."""
    kinds = dict[str, list[str]]()
    for name, kind in begun.columns:
        kinds.setdefault(_KINDS.get(kind, kind), []).append(printable(name, one_line=True))
    shown = "; ".join(f"{kind} {_some(names)}" for kind, names in kinds.items())
    rows = dict(zip(("to train on", "held out", "to test"), begun.rows, strict=False))
    source = begun.config.get("source")
    path = source.get("path") if isinstance(source, dict) else None
    read = begun.source if path is None else Path(path).name
    return (
        f"{printable(read)}: {sum(begun.rows):,} rows of {begun.dim} "
        + (f"columns: {shown}" if shown else "dimensions")
        + f"\n{begun.objective} by {begun.scheme}: "
        + ", ".join(f"{n:,} {name}" for name, n in rows.items())
    )


def _some(names: list[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join(names[:_NAMED] + more)


def step_cells(r: StepRecord) -> tuple[str, ...]:
    """Return the cells of a step, in the order of :data:`COLUMNS`."""
    return (
        str(r.step),
        f"{r.step_size:g}",
        f"{r.energy:.5g}",
        f"{r.energy_change:+.4g}",
        f"{r.w2_step:.4g}",
        _shown(r.residual, ".3g"),
        _shown(r.nll_valid, ".5g"),
        _shown(r.likelihood_error, ".1e"),
        str(r.retries),
        f"{r.cpu_seconds:.1f}",
    )


class _Console(Console):
    """A console that writes nothing more once its reader is gone; the work goes on."""

    def on_broken_pipe(self) -> None:
        """Forget the reader, such as `head`; rich would end the process."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class _Clock(ProgressColumn):
    """CPU seconds since the beginning, of a budget, or the seconds of the present work."""

    def __init__(self) -> None:
        super().__init__()
        self.budget: float | None = None
        self.began = time.process_time()

    @property
    def spent(self) -> float:
        """CPU seconds since the beginning."""
        return time.process_time() - self.began

    def render(self, task: Task) -> Text:
        """Return the time in words."""
        if self.budget is None:
            return Text(f"{task.elapsed or 0.0:.0f} s")
        return Text(f"{self.spent:.0f} of {self.budget:.0f} CPU s")


class Terminal(Listener):
    r"""A listener that shows a run on a terminal: what was read, what was chosen, a live bar.

    On a pipe there is no bar. It serves ``wopt run`` and, from Python, any function that takes a
    listener.

    Args:
        console: Console to print on; by default the terminal.
        verbose: Print a table of steps and the phases too.

    Example:
        >>> import io
        >>> text = io.StringIO()
        >>> Terminal(Console(file=text, width=80)).warn("the disk is nearly full")
        >>> text.getvalue()
        'warning: the disk is nearly full\n'
    """

    def __init__(self, console: Console | None = None, *, verbose: bool = False) -> None:
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self.verbose = verbose
        self.clock = _Clock()
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"),
            self.clock,
            console=self.console,
            transient=True,
            refresh_per_second=4,
        )
        self.task: TaskID | None = None
        self.held_out = ""

    def begin(self, begun: Beginning) -> None:
        """Print what was read and what was chosen; with ``verbose``, the table's head."""
        plan = begun.config.get("plan") or {}
        if plan.get("budget") is not None:
            self.clock.budget = seconds_of(plan["budget"])
        self._print(introduction(begun))
        if plan.get("told"):
            self._print(plan["told"])
        if begun.records:
            self._print(f"going on after step {begun.records[-1].step}")
        if self.verbose:
            self.console.print("  ".join(f"{n:>{width}}" for n, width in COLUMNS), style="bold")
            for record in begun.records:
                self._row(record)

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Move the bar."""
        note = f"{done}/{total}" + ("" if math.isnan(loss) else f", loss {loss:.4g}")
        self._show(what, note, done, total)

    def step(self, record: StepRecord) -> None:
        """Keep the held-out value for the bar; with ``verbose``, print the step's row."""
        value, what = record.nll_valid, "held-out NLL"
        if value is None:
            value, what = record.energy, "energy"
        self.held_out = f", {what} {value:.5g}"
        if self.verbose:
            self._row(record)

    def phase(self, what: str) -> None:
        """Show the phase on the bar; with ``verbose``, print it."""
        if self.verbose:
            self.console.print(f"{printable(what)} ...", style="dim", markup=False)
        self._show(what, "", 0, None)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {printable(text)}", style="yellow", markup=False)

    def end(self, result: RunResult, path: Path | None = None) -> None:
        """Remove the bar."""
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
            self.bar.stop()

    def _show(self, what: str, note: str, done: float, total: float | None) -> None:
        if not self.console.is_terminal:
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task(what, total=total, note="")
        budget = self.clock.budget
        if budget is not None:
            done, total = min(self.clock.spent, budget), budget
        what = printable(what, one_line=True)[:_WORDS]
        self.bar.update(
            self.task, description=what, completed=done, total=total, note=note + self.held_out
        )

    def _print(self, text: str) -> None:
        self.console.print(printable(text), markup=False)

    def _row(self, r: StepRecord) -> None:
        widths = [width for _, width in COLUMNS]
        row = "  ".join(
            f"{cell:>{width}}" for cell, width in zip(step_cells(r), widths, strict=True)
        )
        self.console.print(row, markup=False)
        for attempt in r.attempts:
            self.console.print(f"      {printable(str(attempt))}", style="dim", markup=False)


_WORDS = 40
"""Letters of a phase on the bar, which has one line."""


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


_PAUSE = 0.3
"""Least seconds between two drawings, since a notebook is slower than training."""


def in_notebook() -> bool:
    """Return whether an IPython kernel, whose front end shows HTML, runs this code.

    Example:
        >>> in_notebook()
        False
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def steps_table(records: tuple[StepRecord, ...] | list[StepRecord]) -> str:
    """Return the steps as an HTML table, with the columns of the terminal."""
    return table([name for name, _ in COLUMNS], [step_cells(record) for record in records])


class Notebook(Listener):
    """A listener that shows a live table of steps, a progress bar and warnings.

    Args:
        show: Function that shows HTML in place of the last; by default in the cell's output.

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
        self._bar = ""
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
        note = "" if math.isnan(loss) else f", loss {loss:.4f}"
        self._bar = (
            f'<p><progress value="{int(done)}" max="{int(total)}"></progress> '
            f"{html.escape(what)} {int(done)}/{int(total)}{note}{left}</p>"
        )
        self._draw()

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
    console = Console(highlight=False, soft_wrap=True)
    seen = choice is None and console.is_terminal
    return Terminal(console) if choice or seen else nobody


def with_tracker(listener: Listener, tracker: Tracker | None) -> Listener:
    """Return a listener that also calls a tracker, with the tracker's errors as warnings.

    Args:
        listener: Listener that is called first.
        tracker: Tracker that is called after it, so that its errors cannot affect the listener.
    """
    if tracker is None:
        return listener
    return Listeners([listener, Tracked(tracker, listener.warn)])


def permitted(config: RunConfig, listener: Listener, path: Path) -> RunConfig:
    """Return the configuration of a resumed run, without its tracker unless that is allowed.

    Args:
        config: The configuration.
        listener: Warned of a tracker that is left out.
        path: File of the configuration.
    """
    if config.tracker is None or tracker_allowed():
        return config
    listener.warn(
        f"the tracker {name_of(config.tracker)!r} is not told: {path} names it, which may be "
        "another's, and a tracker writes where its options say. Read them, then allow it with "
        "--allow-tracker (in Python: with wopt.allow_tracker():)"
    )
    return config.model_copy(update={"tracker": None})
