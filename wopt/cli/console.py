"""A run on the terminal: its steps, its certificate, and a summary at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from wopt.host import host
from wopt.interfaces.measurement import show
from wopt.reading import printable
from wopt.runs.progress import Terminal
from wopt.store.directory import RunDirectory
from wopt.store.result import RunResult

__all__ = ["RunTerminal"]


class RunTerminal(Terminal):
    """A listener that shows a run on a terminal; on a pipe only the rows and the summary."""

    def certificate(self, certificate: Any) -> None:
        """Print the certificate."""
        self._clear()
        show(certificate, self.console)

    def end(self, result: RunResult, path: Path | None = None) -> None:
        """Print the summary."""
        self._clear()
        title = Text("" if path is None else printable(str(path)))
        table = Table(title=title, title_justify="left")
        table.show_header = False
        colour = {"done": "green", "stopped": "yellow"}.get(result.status, "red")
        table.add_row("status", Text(result.status, style=colour))
        table.add_row("reason", Text(printable(result.reason)))
        for key, label in _SUMMARY:
            value = getattr(result, key)
            if value is not None:
                shown = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
                table.add_row(label.format(of=result.kl_of), shown)
        if result.gain is not None:
            table.add_row("better than the Gaussian by, nats", f"{result.gain:.4g}")
        for summary in host().registry.functions("summary"):
            for label, words in summary(result):
                table.add_row(label, Text(printable(words)))
        if path is not None:
            table.add_row("report", Text(printable(str(RunDirectory(path).report))))
        self.console.print(table)
        if result.impossible:
            self.warn(
                f"{result.kl_of} is estimated as {result.kl:.4g}, and no divergence is negative: "
                "the target is not normalised, though it declares NORMALISED"
            )


_SUMMARY = (
    ("steps", "steps"),
    ("nll_test", "test NLL (audited), nats"),
    ("nll_error", "its standard error"),
    ("bits_per_dim", "bits per dimension"),
    ("rows", "on test rows"),
    ("nll_gaussian", "NLL of a fitted Gaussian, nats"),
    ("entropy", "entropy of the source, nats"),
    ("kl", "{of}, nats (estimate)"),
    ("likelihood_error", "likelihood error, nats"),
    ("inversion_error", "round-trip error"),
    ("parameters", "parameters"),
    ("seconds", "seconds"),
    ("cpu_seconds", "CPU seconds"),
)
