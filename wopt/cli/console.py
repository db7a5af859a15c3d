"""A run on the terminal: what was read, a live bar, and the verdict at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from wopt.cli.output import on_this_line
from wopt.distributions import how_to_get
from wopt.host import host
from wopt.interfaces.measurement import print_document
from wopt.reading import printable
from wopt.report import advice, read_run, verdict_of
from wopt.runs.terminal import Terminal
from wopt.store.directory import RunDirectory
from wopt.store.result import RunResult


class RunTerminal(Terminal):
    """A listener of ``wopt run``: at most fifteen lines, the last ones a verdict and the report.

    With ``verbose`` the tables of the steps, of the certificate and of the scores come too.
    """

    def warn(self, text: str) -> None:
        """Print a warning, with what to type on this command line."""
        super().warn(on_this_line(text))

    def certificate(self, certificate: Any) -> None:
        """Print the certificate, if the terminal is verbose."""
        if self.verbose:
            self.close()
            print_document(certificate, self.console)

    def end(self, result: RunResult, path: Path | None = None) -> None:
        """Print the verdict and the path of the report."""
        self.close()
        if self.verbose:
            self._scores(result)
        if path is None:
            return
        run = read_run(path)
        for sentence in (*verdict_of(run, str(path)), *advice(run)[:1]):
            self._print(on_this_line(sentence))
        report = RunDirectory(path).report
        self._print(f"report: {report if report.exists() else path}")
        if not host().registry.functions("report"):
            why = how_to_get("function", "report") or "install wopt-report"
            self._print(f"no page: {why}")

    def _scores(self, result: RunResult) -> None:
        table = Table()
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
        self.console.print(table)


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
