"""Progress on the terminal: a bar within a step, a table row after it, a summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wopt.cli.certificate import show
from wopt.runs.observer import Observer
from wopt.train.record import StepRecord

if TYPE_CHECKING:
    from wopt.config.model import RunConfig
    from wopt.runs.prepare import Prepared
    from wopt.store.directory import RunDirectory
    from wopt.train.problem import State

__all__ = ["ConsoleObserver"]

_COLUMNS = (
    ("step", 4),
    ("h", 8),
    ("energy", 11),
    ("change", 10),
    ("W2 moved", 9),
    ("residual~", 9),
    ("NLL valid", 11),
    ("lik. err", 9),
    ("retries", 7),
    ("CPU s", 7),
)


class ConsoleObserver(Observer):
    """Shows a run on a terminal; on a pipe only the rows and the summary."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: Any = None

    def begin(self, config: RunConfig, prepared: Prepared, state: State) -> None:
        """Say what is about to happen, and the table's head."""
        data = prepared.dataset
        assert data is not None  # a run directory is made from a source
        print_ = self.console.print
        print_(
            f"[bold]{type(config.objective).__name__}[/] by [bold]{type(config.scheme).__name__}[/]"
            f" from {type(config.source).__name__}: {len(data.train)} training, {len(data.valid)} "
            f"validation, {len(data.test)} test rows of {data.dim} dimensions"
        )
        if state.step:
            print_(f"going on after step {state.step}")
        print_("  ".join(f"{name:>{width}}" for name, width in _COLUMNS), style="bold")
        for record in state.records:
            self._row(record)
        if self.console.is_terminal:
            self.bar.start()

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Move the bar."""
        if not self.console.is_terminal:
            return
        if self.task is None:
            self.task = self.bar.add_task("", total=total, loss="")
        self.bar.update(
            self.task,
            description=f"step {step}: {what}",
            completed=done,
            total=total,
            loss=f"{loss:.4f}",
        )

    def step(self, record: StepRecord) -> None:
        """Print the step's row, and below it what had to be retried."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
        self._row(record)

    def pause(self, what: str) -> None:
        """Say what the time now goes to."""
        self.bar.stop()
        self.console.print(f"{what} ...", style="dim")

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    def certificate(self, found: dict[str, Any]) -> None:
        """Print the certificate."""
        show(found, self.console)

    def end(self, config: RunConfig, result: dict[str, Any], directory: RunDirectory) -> None:
        """Print the summary."""
        table = Table(title=str(directory.path), title_justify="left", show_header=False)
        colour = {"done": "green", "stopped": "yellow"}.get(result["status"], "red")
        table.add_row("status", f"[{colour}]{result['status']}[/]")
        table.add_row("reason", result["reason"])
        for key, label in _SUMMARY:
            if result.get(key) is not None:
                value = result[key]
                shown = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
                table.add_row(label, shown)
        if result.get("nll_test") is not None and result.get("nll_gaussian") is not None:
            gain = result["nll_gaussian"] - result["nll_test"]
            table.add_row("better than the Gaussian by, nats", f"{gain:.4g}")
        table.add_row("report", str(directory.report))
        self.console.print(table)

    def _row(self, r: StepRecord) -> None:
        cells = (
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
        widths = [width for _, width in _COLUMNS]
        row = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        self.console.print(row, markup=False)
        for attempt in r.attempts:
            self.console.print(f"      {attempt}", style="dim", markup=False)


_SUMMARY = (
    ("steps", "steps"),
    ("nll_test", "test NLL (audited), nats"),
    ("nll_error", "its standard error"),
    ("nll_gaussian", "NLL of a fitted Gaussian, nats"),
    ("entropy", "entropy of the source, nats"),
    ("kl", "KL(data | model), nats (estimate)"),
    ("likelihood_error", "likelihood error, nats"),
    ("inversion_error", "round-trip error"),
    ("parameters", "parameters"),
    ("seconds", "seconds"),
    ("cpu_seconds", "CPU seconds"),
)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
