"""A run on a terminal: what was read and chosen, a live bar, and tables of steps if wanted."""

from __future__ import annotations

import math
import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from wopt.clock import Stopwatch
from wopt.interfaces.listener import Beginning, Listener
from wopt.plan import seconds_of
from wopt.reading import listed, printable
from wopt.store.result import RunResult
from wopt.train.record import StepRecord

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


_KINDS = {"continuous": "numbers", "integer": "integers", "categorical": "categories"}


def introduction(begun: Beginning) -> str:
    """Return what was read and what is done with it, in words: two lines."""
    kinds = dict[str, list[str]]()
    for name, kind in begun.columns:
        kinds.setdefault(_KINDS.get(kind, kind), []).append(printable(name, one_line=True))
    shown = "; ".join(f"{kind} {listed(names)}" for kind, names in kinds.items())
    rows = dict(zip(("to train on", "held out", "to test"), begun.rows, strict=False))
    source = begun.config.get("source")
    path = source.get("path") if isinstance(source, dict) else None
    read = begun.source if path is None else Path(path).name
    facts = "" if begun.table is None else printable(begun.table.summary(), one_line=True)
    return (
        f"{printable(read)}: {sum(begun.rows):,} rows of {begun.dim} "
        + (f"columns: {shown}" if shown else "dimensions")
        + (f"; {facts}" if facts else "")
        + f"\n{begun.objective} by {begun.scheme}: "
        + ", ".join(f"{n:,} {name}" for name, n in rows.items())
    )


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


class PatientConsole(Console):
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
        self.watch = Stopwatch()

    def render(self, task: Task) -> Text:
        """Return the time in words."""
        if self.budget is None:
            return Text(f"{task.elapsed or 0.0:.0f} s")
        return Text(f"{self.watch.cpu:.0f} of {self.budget:.0f} CPU s")


class Terminal(Listener):
    r"""A listener that shows a run on a terminal: what was read, what was chosen, a live bar.

    On a pipe there is no bar. It serves ``wopt run`` and, from Python, any function that takes a
    listener.

    Example:
        >>> import io
        >>> text = io.StringIO()
        >>> Terminal(Console(file=text, width=80)).warn("the disk is nearly full")
        >>> text.getvalue()
        'warning: the disk is nearly full\n'
    """

    def __init__(self, console: Console | None = None, *, verbose: bool = False) -> None:
        self.console = console or PatientConsole(highlight=False, soft_wrap=True)
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
        self.known = ""

    def begin(self, begun: Beginning) -> None:
        """Print what was read and what was chosen; with ``verbose``, the table's head."""
        plan = begun.config.get("plan") or {}
        if plan.get("budget") is not None:
            self.clock.budget = seconds_of(plan["budget"])
        self._print(introduction(begun))
        if plan.get("summary"):
            self._print(plan["summary"])
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

    def held_out(self, value: float) -> None:
        """Keep the held-out value for the bar."""
        self.known = f", held out {value:.4g}"

    def step(self, record: StepRecord) -> None:
        """Keep the held-out value for the bar; with ``verbose``, print the step's row."""
        value, what = record.nll_valid, "held-out NLL"
        if value is None:
            value, what = record.energy, "energy"
        self.known = f", {what} {value:.5g}"
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
            done, total = min(self.clock.watch.cpu, budget), budget
        what = printable(what, one_line=True)[:_WORDS]
        self.bar.update(
            self.task, description=what, completed=done, total=total, note=note + self.known
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
