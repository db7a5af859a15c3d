"""Making a run: begin or go on, save every step, end with results whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wopt.capabilities import Capability
from wopt.certify.remember import remembering
from wopt.certify.sampler import BLIND, SamplerReport, measure_flow
from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import ConfigError, UserError, WoptError
from wopt.files import replacing, write_json
from wopt.flow import Flow
from wopt.flow.own import free, in_own_units
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener, Listeners
from wopt.parallel import alone, team
from wopt.parallel.interrupt import noting
from wopt.parallel.launch import by_first, of_first
from wopt.report import collect, render
from wopt.runs.carry import carried_out
from wopt.runs.certify import Carried, certify, kept_effort
from wopt.runs.evaluate import evaluate
from wopt.runs.evolution import Evolution, check_exact
from wopt.runs.fingerprint import check_data, remember_data
from wopt.runs.hold import hold
from wopt.runs.log import RunLog
from wopt.runs.loop import Ended, make_steps
from wopt.runs.losses import LossLog
from wopt.runs.populations import judged
from wopt.runs.precise import audited
from wopt.runs.prepare import Prepared, conditions_of, particles_of, prepare
from wopt.runs.sampler import with_sampler
from wopt.runs.threads import training_threads, with_threads
from wopt.runs.told import permitted, with_tracker
from wopt.runs.two_sample import is_truth
from wopt.runs.versions import versions
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

__all__ = ["begin", "resume", "run", "versions"]

_REPORT, _PANELS = 0.9, 0.12
"""Processor seconds of a report, and of a step's panels in it."""

SAMPLES = 2000
"""Rows of ``samples.npy``."""

_GO_ON = "go on with `wopt resume {}`"


def run(
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
    """Make a run in a new directory and return what ``result.json`` holds.

    Args:
        prepared: The run, ready to begin.
        out: The run directory, which must not hold a run yet.
        listener: Told of progress.
        report: Write the page, which `wopt report` can do later.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    began = time.perf_counter(), time.process_time()
    prepared = with_threads(prepared)
    config = prepared.config
    model = "push_forward" if prepared.pushes else "pull_back"
    check_exact(prepared)
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
    """Write what a run begins with, and return its state before the first step."""
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
    """Go on from the last finished step, to the same bits (CPU) as an unbroken run.

    A run that has ended is only given its results and report anew.

    Raises:
        BusyError: Another process makes it.
        DamagedError: The directory is damaged.
        UserError: There is no run, its data are gone, or they are others.
    """
    began = time.perf_counter(), time.process_time()
    directory = RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    with carried_out(config, out), _claimed(directory):
        prepared = _alone(config)
        # The first process has all rows, whatever others hold.
        loaded = prepared.loaded or _dataset(prepared)
        changed = of_first(lambda: check_data(directory, config.source, loaded))
        prepared = hold(prepared)
        config = permitted(config, listener, directory.config)
        dataset, start = _dataset(prepared), (prepared.train, prepared.valid)
        if team().agreed(directory.begun):
            state = load_state(directory, config, dataset.dim, dataset.condition, start)
            by_first(lambda: settle(directory, config))
        else:  # it was killed before its first state was written
            state = _first(directory, prepared)
        return _completed(directory, config, prepared, state, listener, began, report, changed)


@contextlib.contextmanager
def _claimed(directory: RunDirectory, *, new: bool = False) -> Iterator[None]:
    """Keep processes that are not of this run from writing here."""
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
    """Raise for a configuration that no file can hold: nobody could read such a run back.

    Raises:
        ConfigError: A part is a Python object without a name.
    """
    try:
        validate(table)
    except UserError as error:
        raise ConfigError(
            f"{out}: a run is read back from its config.toml, which cannot hold this one: {error}. "
            "Without a run directory it can be made: wopt.solve, and wopt.sample for a posterior"
        ) from None


def _dataset(prepared: Prepared) -> Dataset:
    """Return the data, which every run that has a directory was made from."""
    assert prepared.dataset is not None
    return prepared.dataset


class _Execution:
    """One stretch of work on a run, from a state to its end."""

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
        told = Listeners([self.log, self.losses, listener])
        self.listener = with_tracker(told, config.tracker)

    def changed(self, note: str) -> None:
        """Say that the data have changed: now, in the log, and in the certificate."""
        self.notes = (note,)
        self.listener.warn(note)

    def go(self, state: State) -> RunResult:
        """Make the remaining steps and write the results."""
        earlier = sum(r.seconds for r in state.records), sum(r.cpu_seconds for r in state.records)
        self.log.write(f"begins at step {state.step + 1} with {', '.join(_flat(versions()))}")
        evolution = Evolution(self.directory, self.prepared)
        evolution.see(state)
        with noting():
            ended = make_steps(
                self.prepared,
                state,
                self.listener,
                go_on=_GO_ON.format(self.directory.path),
                save=lambda state: self._save(evolution, state),
            )
        with alone(), training_threads(self.config):
            return self._measured(ended, earlier, _compared(evolution, ended.state))

    def _measured(
        self, ended: Ended, earlier: tuple[float, float], compared: dict[str, Any]
    ) -> RunResult:
        """Measure and write the results: on this process alone, the others have ended."""
        self.listener.phase("measuring on test data, drawing samples")
        trained = time.process_time()
        prepared, state = audited(self.prepared, ended.state)
        blocks = self._blocks()
        if prepared is not self.prepared:
            blocks = [block.double() for block in blocks]
        # Test rows go through the audited maps once, for the figures and for the certificate.
        known = remembering(blocks, parts=False)
        result = dataclasses.replace(
            self._finish(prepared, blocks, known),
            **compared,
            status=ended.status,
            reason=ended.reason,
            seconds=earlier[0] + time.perf_counter() - self.began[0],
            cpu_seconds=earlier[1] + time.process_time() - self.began[1],
        )
        self.directory.write_result(result.to_dict())
        report = _REPORT + _PANELS * min(len(blocks), 8) if self.report else 0.0
        carried = Carried(known, time.process_time() - trained + report)
        self._certify(dataclasses.replace(ended, state=state), prepared, carried)
        if self.report:
            render(self.directory.path)
        self.listener.end(result, self.directory.path)
        return result

    def _save(self, evolution: Evolution, state: State) -> None:
        self.losses.keep(state.step)
        save_share(self.directory, state)
        save_state(self.directory, state, self.config)
        evolution.see(state)

    def _finish(
        self, prepared: Prepared, blocks: list[FlowBlock], known: list[FlowBlock]
    ) -> RunResult:
        """Measure on test data, draw samples and save what the pictures need."""
        dataset = _dataset(prepared)
        test = particles_of(dataset, dataset.test, prepared.config, known=False)
        result = evaluate(prepared, known, test)
        target = self.prepared.problem.objective.target
        flow = in_own_units(self.prepared.flow(blocks), target)
        try:
            samples = flow.sample(SAMPLES, generator=generator(self.config.seed, "samples"))
        except WoptError as error:  # a model without samples is told of, not a failed run
            self.log.write(f"no samples: {error}")
        else:
            with replacing(self.directory.samples) as temporary:
                np.save(temporary, samples.cpu().numpy())
        objective, seed = self.prepared.problem.objective, derive(self.config.seed, "figures")
        truth = is_truth(objective)
        figures = collect(flow, dataset, seed, target, truth=truth)
        write_tensors(self.directory.figures, figures, {})
        return dataclasses.replace(
            result,
            versions=versions(),
            sampler=self._sampler(flow),
            populations=judged(self.config, flow, self.listener),
        )

    def _sampler(self, flow: Flow) -> SamplerReport | None:
        """Measure a model that is to sample its target: both sides of log Z, the weights."""
        target = self.prepared.problem.objective.target
        if not self.prepared.pushes or target is None:
            return None
        if Capability.POTENTIAL not in target.provides or not is_truth(
            self.prepared.problem.objective
        ):
            return None
        try:
            asked = self.config.certify
            diagnostics = measure_flow(
                free(flow),
                target,
                asked.draws,
                derive(self.config.seed, "sampler"),
                steps=asked.rejection,
                rate=asked.rejection_rate,
            )
        except WoptError as error:
            self.log.write(f"no diagnostics of the sampler: {error}")
            return None
        self.listener.phase(diagnostics.text())
        if not diagnostics.reliable:
            self.listener.warn(BLIND)
        return diagnostics

    def _blocks(self) -> list[FlowBlock]:
        data = _dataset(self.prepared)
        return load_blocks(self.directory, self.config, data.dim, data.condition)

    def _certify(self, ended: Ended, prepared: Prepared, carried: Carried) -> None:
        """Write the certificate; where that is not possible, say so: the run stands."""
        if not ended.state.records or not self.config.certify.enabled:
            return
        again = f"`wopt certify {self.directory.path}` does it later"
        if ended.status == "stopped":  # who interrupts does not want to wait
            self.listener.warn(f"not certified; {again}")
            return
        step = ended.state.records[-1].step
        recorded = kept_effort(self.directory, self.config.certify, step)
        try:
            certificate = certify(
                prepared, ended.state, self.listener,
                lower=ended.lower, recorded=recorded, carried=carried,
            )  # fmt: skip
            certificate = with_sampler(certificate, self.directory)
            certificate = dataclasses.replace(certificate, notes=(*certificate.notes, *self.notes))
        except WoptError as error:
            self.listener.warn(f"no certificate: {error}")
        except KeyboardInterrupt:
            self.listener.warn(f"certifying was interrupted; {again}")
        else:
            write_json(self.directory.certificate, certificate.to_dict())
            self.listener.certificate(certificate)


def _compared(evolution: Evolution, state: State) -> dict[str, Any]:
    """Return what a result says of the exact solution."""
    by_time = evolution.end(state)
    return {"exact": by_time[-1] if by_time else None, "exact_by_time": by_time}


def _flat(table: dict[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in table.items()]
