"""Making a run: begin or resume it, save every step, and write results at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import CapabilityError, ConfigError, UserError
from wopt.files import replacing
from wopt.flow.conversions import in_own_units
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener, Listeners
from wopt.interfaces.measurement import FinishedRun, Watch
from wopt.interfaces.objective import is_truth
from wopt.origin import in_words
from wopt.parallel import alone, team
from wopt.parallel.interrupt import noting
from wopt.parallel.launch import by_first, of_first
from wopt.report import collect, render
from wopt.runs.carry import carried_out, hold
from wopt.runs.evaluate import audited, evaluate
from wopt.runs.loading import check_data, remember_data
from wopt.runs.log import LossLog, RunLog, versions
from wopt.runs.loop import Ended, make_steps
from wopt.runs.measured import Measured, automatic
from wopt.runs.preparation import Prepared, conditions_of, particles_of, prepare
from wopt.runs.progress import permitted, with_tracker
from wopt.runs.threads import training_threads, with_threads
from wopt.seeds import derive, generator
from wopt.store.checkpoint import (
    load_blocks,
    load_state,
    save_share,
    save_state,
    save_transform,
    settle,
)
from wopt.store.directory import RunDirectory, write_tensors
from wopt.store.result import RunResult
from wopt.train.problem import State
from wopt.train.wrappers import remembering

__all__ = ["begin", "resume", "run_config", "versions"]

_REPORT, _PANELS = 0.9, 0.12
"""CPU seconds of a report, and of a step's panels in it."""

SAMPLES = 2000
"""Number of rows of ``samples.npy``."""

_GO_ON = "go on with `wopt resume {}`"


def run_config(
    config: RunConfig, out: Path, listener: Listener = SILENT, *, report: bool = True
) -> RunResult:
    """Make a run of a validated configuration, see :func:`begin`."""
    with carried_out(config, out):
        return begin(_alone(config), out, listener, report=report)


def _alone(config: RunConfig) -> Prepared:
    with alone():
        return prepare(config)


def begin(
    prepared: Prepared, out: Path, listener: Listener = SILENT, *, report: bool = True
) -> RunResult:
    """Make a run in a new directory and return its result, as in ``result.json``.

    Args:
        prepared: The run, ready to begin.
        out: The run directory, which must not hold a run yet.
        listener: Receives messages on progress.
        report: Whether to write the page, which `wopt report` can do later.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    began = time.perf_counter(), time.process_time()
    prepared = with_threads(prepared)
    config = prepared.config
    model = "push_forward" if prepared.pushes else "pull_back"
    for measurement in automatic(config):
        measurement.check(prepared)
    table = to_table(config) | {"model": model, "versions": versions()}
    _check_readable(table, out)
    directory = RunDirectory(out)
    with carried_out(config, out):
        prepared = hold(prepared)
        with _claimed(directory, new=True):
            by_first(lambda: directory.create(table))
            state = _first(directory, prepared)
            return _completed(directory, config, prepared, state, listener, began, report)


def _first(directory: RunDirectory, prepared: Prepared) -> State:
    """Write the files of a run's beginning, and return the state before the first step."""
    dataset = _dataset(prepared)

    def write() -> None:
        remember_data(directory, prepared.config.source, prepared.loaded or dataset)
        conditions = conditions_of(dataset) if dataset.condition else None
        save_transform(directory, dataset.transform, dataset.names, conditions)

    by_first(write)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    by_first(lambda: save_state(directory, state, prepared.config))
    return state


def resume(out: Path, listener: Listener = SILENT, *, report: bool = True) -> RunResult:
    """Continue from the last finished step, with the same bits (CPU) as an unbroken run.

    For a finished run, only results and report are written again.

    Raises:
        BusyError: Another process is making the run.
        DamagedError: The directory is damaged.
        UserError: The run does not exist, or its data are missing or changed.
    """
    began = time.perf_counter(), time.process_time()
    directory = RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    with carried_out(config, out), _claimed(directory):
        prepared = _alone(config)
        # The first process has all rows, whatever the others hold.
        loaded = prepared.loaded or _dataset(prepared)
        changed = of_first(lambda: check_data(directory, config.source, loaded))
        prepared = hold(prepared)
        config = permitted(config, listener, directory.config)
        dataset, start = _dataset(prepared), (prepared.train, prepared.valid)
        if team().agreed(directory.begun):
            state = load_state(directory, config, dataset.dim, dataset.condition, start)
            by_first(lambda: settle(directory, config))
        else:  # the run was killed before its first state was written
            state = _first(directory, prepared)
        return _completed(directory, config, prepared, state, listener, began, report, changed)


@contextlib.contextmanager
def _claimed(directory: RunDirectory, *, new: bool = False) -> Iterator[None]:
    """Keep processes of other runs from writing here."""
    with contextlib.ExitStack() as held:

        def claim() -> None:
            if new:
                directory.check_free()
                directory.check_links()
                directory.make()
            held.enter_context(directory.lock())

        by_first(claim)
        yield


def _completed(
    directory: RunDirectory,
    config: RunConfig,
    prepared: Prepared,
    state: State,
    listener: Listener,
    began: tuple[float, float],
    report: bool,
    changed: str | None = None,
) -> RunResult:
    """Make the steps with the team; the first process measures and writes the results."""
    if team().first:
        execution = _Execution(directory, config, prepared, listener, began, report)
        if changed is not None:
            execution.changed(changed)
        return execution.go(state)
    with noting():
        save = functools.partial(save_share, directory)
        ended = make_steps(prepared, state, SILENT, go_on=_GO_ON.format(directory.path), save=save)
    return RunResult(ended.status, ended.reason, len(ended.state.blocks))


def _check_readable(table: dict[str, Any], out: Path) -> None:
    """Raise if the configuration cannot be written to a file, so that no run could be read back."""
    try:
        validate(table)
    except UserError as error:
        raise ConfigError(
            f"{out}: a run is read back from its config.toml, which cannot hold this one: {error}. "
            "Without a run directory it can be made: wopt.solve, and wopt.sample for a posterior"
        ) from None


def _dataset(prepared: Prepared) -> Dataset:
    """Return the data, which every run with a directory has."""
    assert prepared.dataset is not None
    return prepared.dataset


class _Execution:
    """Work on a run from a state to its end."""

    def __init__(
        self,
        directory: RunDirectory,
        config: RunConfig,
        prepared: Prepared,
        listener: Listener,
        began: tuple[float, float],
        report: bool,
    ) -> None:
        self.directory = directory
        self.config = config
        self.prepared = prepared
        self.began = began
        self.report = report
        self.log = RunLog(directory.log)
        self.losses = LossLog(directory.losses)
        self.notes: tuple[str, ...] = ()
        progress = Listeners([self.log, self.losses, listener])
        self.listener = with_tracker(progress, config.tracker)

    def changed(self, note: str) -> None:
        """Report changed data: now, in the log, and in the certificate."""
        self.notes = (note,)
        self.listener.warn(note)

    def go(self, state: State) -> RunResult:
        """Make the remaining steps and write the results."""
        earlier = sum(r.seconds for r in state.records), sum(r.cpu_seconds for r in state.records)
        self.log.write(f"begins at step {state.step + 1} with {', '.join(_flat(versions()))}")
        looking = (m.watch(self.directory, self.prepared) for m in automatic(self.config))
        watches = [watch for watch in looking if watch is not None]
        for watch in watches:
            watch.see(state)
        with noting():
            ended = make_steps(
                self.prepared,
                state,
                self.listener,
                go_on=_GO_ON.format(self.directory.path),
                save=lambda state: self._save(watches, state),
            )
        with alone(), training_threads(self.config):
            seen: dict[str, Any] = {}
            for watch in watches:
                seen |= watch.end(ended.state)
            return self._measured(ended, earlier, seen)

    def _measured(
        self, ended: Ended, earlier: tuple[float, float], seen: dict[str, Any]
    ) -> RunResult:
        """Measure and write the results, on this process alone, since the others have ended."""
        self.listener.phase("measuring on test data, drawing samples")
        trained = time.process_time()
        prepared, state = audited(self.prepared, ended.state)
        blocks = self._blocks()
        if prepared is not self.prepared:
            blocks = [block.double() for block in blocks]
        # Test rows go through the audited maps once, for the scores and for the certificate.
        known = remembering(blocks, parts=False)
        run = FinishedRun(
            prepared, state, self.listener, self.directory, known, lower=ended.lower,
            notes=self.notes,
        )  # fmt: skip
        measured = Measured(self.config, run, self.log.write)
        result = dataclasses.replace(
            self._finish(prepared, blocks, known, measured),
            **seen,
            status=ended.status,
            reason=ended.reason,
            seconds=earlier[0] + time.perf_counter() - self.began[0],
            cpu_seconds=earlier[1] + time.process_time() - self.began[1],
        )
        self.directory.write_result(result.to_dict())
        report = _REPORT + _PANELS * min(len(blocks), 8) if self.report else 0.0
        measured.certify(ended.status, time.process_time() - trained + report)
        if self.report:
            with self._reported(f"no report (`wopt report {self.directory.path}` makes it)"):
                self.listener.phase("writing the report")
                render(self.directory.path)
        self.listener.end(result, self.directory.path)
        return result

    def _save(self, watches: list[Watch], state: State) -> None:
        self.losses.keep(state.step)
        save_share(self.directory, state)
        save_state(self.directory, state, self.config)
        for watch in watches:
            watch.see(state)

    def _finish(
        self,
        prepared: Prepared,
        blocks: list[FlowBlock],
        known: list[FlowBlock],
        measured: Measured,
    ) -> RunResult:
        """Measure on test data, draw samples and save the data of the pictures."""
        dataset = _dataset(prepared)
        test = particles_of(dataset, dataset.test, prepared.config, known=False)
        result = evaluate(prepared, known, test)
        target = self.prepared.problem.objective.target
        flow = in_own_units(self.prepared.flow(blocks), target)
        samples = figures = None
        with self._reported("no samples"):
            samples = flow.sample(SAMPLES, generator=generator(self.config.seed, "samples"))
        if samples is not None:
            with replacing(self.directory.samples) as temporary:
                np.save(temporary, samples.cpu().numpy())
        objective, seed = self.prepared.problem.objective, derive(self.config.seed, "figures")
        truth = is_truth(objective)
        with self._reported("no data of pictures"):
            figures = collect(flow, dataset, seed, target, truth=truth)
        if figures is not None:
            write_tensors(self.directory.figures, figures, {})
        return dataclasses.replace(
            result, versions=versions(), **measured.automatic(self.prepared, flow)
        )

    @contextlib.contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Report an error of what comes after training, by which a trained run does not fail."""
        try:
            yield
        except CapabilityError as error:  # a model without samples
            self.log.write(f"{what}: {error}")
        except Exception as error:
            self.listener.warn(f"{what}: {in_words(error)}")

    def _blocks(self) -> list[FlowBlock]:
        data = _dataset(self.prepared)
        return load_blocks(self.directory, self.config, data.dim, data.condition)


def _flat(table: dict[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in table.items()]
