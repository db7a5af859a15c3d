"""Runs by all processes that ``torchrun`` started, or by this one alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wopt.config.model import to_table, validate
from wopt.interfaces.listener import SILENT, Listener
from wopt.parallel.launch import restarted, told_by_first
from wopt.parallel.team import alone, team
from wopt.runs.carry import carried_out
from wopt.runs.execute import begin, resume
from wopt.runs.planned import prepared_run
from wopt.runs.preparation import Prepared, prepare
from wopt.store.directory import RunDirectory
from wopt.store.result import RunResult

__all__ = ["resume_table", "run_table"]


def run_table(table: Mapping[str, Any], where: str, out: Path, listener: Listener) -> RunResult:
    """Make a run of a configuration; a run that torchrun restarts is resumed.

    Args:
        table: Table as read from TOML.
        where: The file, for messages.
        out: The run directory.
        listener: Receives messages on progress from the first process.

    Raises:
        UserError: The configuration, data or parts cannot be used.
        TeamError: Another process ended or did not answer.
    """
    config = validate(dict(table), where)
    with carried_out(config, out):
        progress = listener if team().first else SILENT
        progress.phase("reading the data, choosing options")
        if restarted() and RunDirectory(out).state.exists():
            return resume(out, progress)
        return begin(_prepared(table, where, progress), out, progress)


def resume_table(out: Path, listener: Listener) -> RunResult:
    """Resume a run directory, with the present number of processes."""
    directory = RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    with carried_out(config, out):
        return resume(out, listener if team().first else SILENT)


def _prepared(table: Mapping[str, Any], where: str, listener: Listener) -> Prepared:
    """Return the run on every process; the first process plans, since trials use a clock."""
    of = team()
    config = validate(dict(table), where)
    if of.size == 1 or config.plan is None or config.plan.told:
        with alone():
            return prepared_run(table, where, listener)
    known: list[Prepared] = []

    def plan() -> str:
        known.append(prepared_run(table, where, listener))
        return json.dumps(to_table(known[0].config))

    planned = json.loads(told_by_first("plan", plan))
    with alone():
        return known[0] if known else prepare(validate(planned, where))
