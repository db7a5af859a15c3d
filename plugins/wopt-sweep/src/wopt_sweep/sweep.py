"""A sweep in its folder: runs one after another, a table that is whole after each, the best."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from wopt.config import override
from wopt.errors import ConfigError, DamagedError, RunError, WoptError
from wopt.files import write_json, write_text
from wopt.interfaces import SILENT, Listener
from wopt.permission import allow_tracker
from wopt.reading import parsed_json, read_text
from wopt.runs import begin, build_problem, resume
from wopt.store import RunDirectory, read_lines, write_lines
from wopt.typed import Number, Typed
from wopt_certify.compare.page import compare
from wopt_certify.compare.page import rows as compare_rows
from wopt_sweep.plan import Setting, SweepDesign


@dataclasses.dataclass(frozen=True)
class SweepRun(Typed):
    """One run of a sweep.

    Attributes:
        setting: Texts ``K=V``, as for ``--set``.
        status: ``done``, ``failed`` (a step was finally rejected), ``pruned``, ``error``.
        value: Value for comparison, less is better: the held-out NLL in nats after the last step,
            or the energy if there is no NLL. Test rows are not used.
        nll_test: NLL of the test rows, in nats, at the end of the run.
        cpu_seconds: CPU seconds of the run.
    """

    run: str
    setting: tuple[str, ...]
    seed: int
    status: str
    reason: str
    value: Number | None = None
    nll_test: float | None = None
    steps: int = 0
    cpu_seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the run has ended and need not be resumed."""
        return self.status != "stopped"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The runs of one setting.

    Attributes:
        setting: Texts ``K=V``, as for ``--set``.
        value: Mean over the seeds; infinite if a seed has no value, so that it is not the best.
        error: Standard error of that mean; ``None`` for one seed.
    """

    setting: tuple[str, ...]
    value: float
    error: float | None
    rows: tuple[SweepRun, ...]


def summaries(rows: Iterable[SweepRun]) -> list[Summary]:
    """Return one summary per setting, the best first.

    Example:
        >>> rows = [SweepRun(str(k), ("a=1",), k, "done", "", 2.0 + 2 * k) for k in range(2)]
        >>> [(s.value, s.error) for s in summaries(rows)]
        [(3.0, 1.0)]
    """
    groups: dict[tuple[str, ...], list[SweepRun]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    return sorted((_summary(s, g) for s, g in groups.items()), key=lambda s: s.value)


def _summary(setting: tuple[str, ...], rows: Sequence[SweepRun]) -> Summary:
    values = [r.value for r in rows if r.value is not None and r.status == "done"]
    if len(values) < len(rows):
        return Summary(setting, math.inf, None, tuple(rows))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Summary(setting, statistics.mean(values), error, tuple(rows))


_SHOWN = 8
"""Number of the best runs on the page: more curves cannot be distinguished."""


class Interrupted(WoptError):
    """Ctrl-C was pressed; the same command continues the sweep."""

    exit_code = 130


class Pruned(WoptError):
    """A run that a search ended early."""


class Sweep:
    """The folder of a sweep.

    It holds ``sweep.json`` (configuration and plan), ``runs/NNN`` (run directories),
    ``table.jsonl`` (one row per run), ``best.toml`` and ``sweep.html``.

    Raises:
        ConfigError: The folder holds another sweep.
    """

    def __init__(
        self,
        path: Path,
        table: dict[str, Any],
        plan: SweepDesign,
        progress: Callable[[SweepRun], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.base = table
        self.plan = plan
        self.progress = progress
        self.table = path / "table.jsonl"
        self.best = path / "best.toml"
        self.page = path / "sweep.html"
        self._open()
        self.rows = read_lines(self.table, SweepRun, "delete it, and runs are read anew")

    def grid(self) -> None:
        """Run every point of the grid with every seed, except those that have ended before.

        Raises:
            Interrupted: Ctrl-C was pressed; the table is complete.
        """
        for setting in self.plan.settings():
            self.run(setting)

    def run(self, setting: Setting, listener: Listener = SILENT) -> Summary:
        """Run one setting with every seed, and return its summary.

        Raises:
            Interrupted: Ctrl-C was pressed.
        """
        first = int(self.base.get("seed", 0))
        for seed in range(first, first + self.plan.seeds):
            known = self._row(setting, seed)
            if known is None or not known.ended:
                self._keep(self._make(setting, seed, known, listener))
        rows = [r for r in self.rows if r.setting == setting]
        return next(s for s in summaries(rows) if s.setting == setting)

    def finish(self) -> list[Summary]:
        """Write the best configuration and the page; return the settings, the best first."""
        ranked = summaries(self.rows)
        if ranked and ranked[0].value < float("inf"):
            best = override(self.base, ranked[0].setting)
            about = f"# The best of {len(ranked)} settings, by held-out values: see table.jsonl.\n"
            write_text(self.best, about + tomli_w.dumps(best))
        shown = [r for s in ranked for r in s.rows if self._has_result(r)][:_SHOWN]
        if len(shown) > 1:
            compare(compare_rows([self._directory(r.run).path for r in shown]), self.page)
        return ranked

    def _open(self) -> None:
        about = self.path / "sweep.json"
        now = {"config": self.base, "plan": self.plan.to_dict()}
        now = json.loads(json.dumps(now, default=str))
        if about.exists():
            try:
                before = parsed_json(read_text(about))
            except ValueError as error:
                raise DamagedError(f"{about}: is damaged: {error}") from None
            if before != now:
                raise ConfigError(
                    f"{self.path}: holds a sweep of another configuration, grid or number of "
                    "seeds; choose another place with --out"
                )
            return
        try:
            (self.path / "runs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be made: {error.strerror}") from error
        write_json(about, now)

    def _make(
        self, setting: Setting, seed: int, known: SweepRun | None, listener: Listener
    ) -> SweepRun:
        """Make or resume a run; any error becomes the reason in its row."""
        name = known.run if known else f"{len(self.rows):03d}"
        directory = self._directory(name)
        try:
            if directory.config.exists() and directory.state.exists():
                named = allow_tracker() if "tracker" in self.base else contextlib.nullcontext()
                with named:
                    result = resume(directory.path, listener, report=False)
            else:
                problem = build_problem(self._config(setting, seed))
                result = begin(problem, directory.path, listener, report=False)
        except Pruned as stop:
            return self._ended(name, setting, seed, "pruned", str(stop))
        except KeyboardInterrupt:
            self._keep(SweepRun(name, setting, seed, "stopped", "interrupted"))
            raise Interrupted(_AGAIN) from None
        except WoptError as error:
            return SweepRun(name, setting, seed, "error", str(error))
        except Exception as error:  # a failed run is a row, and the sweep continues
            return SweepRun(name, setting, seed, "error", f"{type(error).__name__}: {error}")
        row = self._ended(name, setting, seed, result.status, result.reason)
        row = dataclasses.replace(row, nll_test=result.nll_test, cpu_seconds=result.cpu_seconds)
        if row.status == "stopped":
            self._keep(row)
            raise Interrupted(_AGAIN)
        return row

    def _config(self, setting: Setting, seed: int) -> dict[str, Any]:
        table = override(self.base, [*setting, f"seed={seed}"])
        if "certify" not in self.base:  # the comparison needs no certificates
            table = override(table, ["certify.enabled=false"])
        return table

    def _ended(self, name: str, setting: Setting, seed: int, status: str, reason: str) -> SweepRun:
        records = self._directory(name).read_steps()
        value = None
        if records:
            last = records[-1]
            value = last.energy if last.nll_valid is None else last.nll_valid
        return SweepRun(name, setting, seed, status, reason, value, steps=len(records))

    def _row(self, setting: Setting, seed: int) -> SweepRun | None:
        return next((r for r in self.rows if (r.setting, r.seed) == (setting, seed)), None)

    def _keep(self, row: SweepRun) -> None:
        self.rows = [r for r in self.rows if r.run != row.run] + [row]
        write_lines(self.table, self.rows)
        self.progress(row)

    def _has_result(self, row: SweepRun) -> bool:
        return row.status == "done" and self._directory(row.run).result.exists()

    def _directory(self, name: str) -> RunDirectory:
        return RunDirectory(self.path / "runs" / name)


_AGAIN = "interrupted; the same command goes on with what is left"
