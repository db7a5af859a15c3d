"""Progress on the terminal: a bar during a step, a table row after it."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from wopt.interfaces.listener import Beginning, Listener
from wopt.reading import printable
from wopt.store.result import RunResult
from wopt.train.record import StepRecord

__all__ = ["COLUMNS", "Terminal", "introduction", "step_cells"]

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


def introduction(begun: Beginning) -> str:
    """Return the introduction of a run, in words."""
    rows = dict(zip(("training", "validation", "test"), begun.rows, strict=False))
    return (
        f"{begun.objective} by {begun.scheme} from {begun.source}: "
        + ", ".join(f"{n} {name}" for name, n in rows.items())
        + f" rows of {begun.dim} dimensions"
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


class Terminal(Listener):
    r"""A listener that shows steps on a terminal; on a pipe it prints only the rows.

    It serves ``wopt run`` and, from Python, any function that takes a listener.

    Args:
        console: Console to print on; by default the terminal.

    Example:
        >>> import io
        >>> text = io.StringIO()
        >>> Terminal(Console(file=text, width=80)).warn("the disk is nearly full")
        >>> text.getvalue()
        'warning: the disk is nearly full\n'
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed}/{task.total}  {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: TaskID | None = None

    def begin(self, begun: Beginning) -> None:
        """Print the introduction and the table's head."""
        self._clear()
        self.console.print(printable(introduction(begun)), markup=False)
        if begun.records:
            self.console.print(f"going on after step {begun.records[-1].step}")
        self.console.print("  ".join(f"{n:>{width}}" for n, width in COLUMNS), style="bold")
        for record in begun.records:
            self._row(record)

    def work(self, what: str, done: int, total: int, loss: float = math.nan) -> None:
        """Move the bar."""
        if not self.console.is_terminal:
            return
        shown = "" if math.isnan(loss) else f"loss {loss:.4f}"
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task(what, total=total, loss=shown)
        self.bar.update(self.task, description=what, completed=done, total=total, loss=shown)

    def step(self, record: StepRecord) -> None:
        """Print the step's row, and its retries below it."""
        self._clear()
        self._row(record)

    def phase(self, what: str) -> None:
        """Print the phase."""
        self._clear()
        self.console.print(f"{printable(what)} ...", style="dim", markup=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {printable(text)}", style="yellow", markup=False)

    def end(self, result: RunResult, path: Path | None = None) -> None:
        """Remove the bar."""
        self._clear()

    def _clear(self) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
            self.bar.stop()

    def _row(self, r: StepRecord) -> None:
        widths = [width for _, width in COLUMNS]
        row = "  ".join(
            f"{cell:>{width}}" for cell, width in zip(step_cells(r), widths, strict=True)
        )
        self.console.print(row, markup=False)
        for attempt in r.attempts:
            self.console.print(f"      {printable(str(attempt))}", style="dim", markup=False)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
