"""Making a run: begin or go on, save every step, end with results whatever happens."""

from __future__ import annotations

import dataclasses
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import Converged, DivergenceError, WoptError
from wopt.files import replacing, write_json
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Beginning, Listener, Listeners
from wopt.interfaces.objective import Objective, Sum
from wopt.interfaces.tracker import Tracked
from wopt.report import collect, render
from wopt.runs.certify import certify
from wopt.runs.evaluate import evaluate
from wopt.runs.log import RunLog
from wopt.runs.prepare import Prepared, conditions_of, place, prepare
from wopt.seeds import derive, generator
from wopt.store.checkpoint import load_blocks, load_state, save_state, save_transform
from wopt.store.directory import RunDirectory, write_tensors
from wopt.store.result import RunResult
from wopt.train.iterate import iterate
from wopt.train.problem import State

__all__ = ["resume", "run", "versions"]

SAMPLES = 2000
"""Rows of ``samples.npy``."""


def run(config: RunConfig, out: Path, listener: Listener | None = None) -> RunResult:
    """Make a run in a new directory and return what ``result.json`` holds.

    Args:
        config: The validated configuration.
        out: The run directory, which must not hold a run yet.
        listener: Told of progress.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    began = time.perf_counter(), time.process_time()
    prepared = prepare(config, config.source.load(derive(config.seed, "source")))
    model = "push_forward" if prepared.pushes else "pull_back"
    table = to_table(config) | {"model": model, "versions": versions()}
    directory = RunDirectory(out)
    directory.create(table)
    dataset = _dataset(prepared)
    conditions = conditions_of(dataset) if dataset.condition else None
    save_transform(directory, dataset.transform, dataset.names, conditions)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    save_state(directory, state, config)
    return _Execution(directory, config, prepared, listener, began).go(state)


def resume(out: Path, listener: Listener | None = None) -> RunResult:
    """Go on from the last finished step, to the same bits (CPU) as an unbroken run.

    A run that has ended is only given its results and report anew.

    Raises:
        RunError: The directory is damaged.
        UserError: There is no run, or its data are gone.
    """
    began = time.perf_counter(), time.process_time()
    directory = RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    dataset = config.source.load(derive(config.seed, "source"))
    prepared = prepare(config, dataset)
    start = prepared.train, prepared.valid
    state = load_state(directory, config, dataset.dim, dataset.condition, start)
    return _Execution(directory, config, prepared, listener, began).go(state)


def versions() -> dict[str, str]:
    """Return the versions of what makes a run: Python, torch, the core, the plugins."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "wopt-core": version("wopt-core"),
        **host().versions(),
    }


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
        listener: Listener | None,
        began: tuple[float, float],
    ) -> None:
        self.directory = directory
        self.config = config
        self.prepared = prepared
        self.began = began
        self.log = RunLog(directory.log)
        told: list[Listener] = [self.log, *([] if listener is None else [listener])]
        self.listener = Listeners(told)
        if config.tracker is not None:
            # What a tracker does wrong is told to the others, and it hears last.
            self.listener = Listeners([*told, Tracked(config.tracker, self.listener.warn)])

    def go(self, state: State) -> RunResult:
        """Make the remaining steps and write the results."""
        earlier = sum(r.seconds for r in state.records), sum(r.cpu_seconds for r in state.records)
        self.log.write(f"begins at step {state.step + 1} with {', '.join(_flat(versions()))}")
        self.listener.begin(_beginning(self.config, self.prepared, state))
        status: Literal["done", "failed", "stopped"] = "done"
        reason = state.records[-1].stop if state.records else None
        try:
            for after, record in iterate(self.prepared.problem, state, self.listener.progress):
                save_state(self.directory, after, self.config)
                state, reason = after, record.stop
                self.listener.step(record)
        except Converged as error:
            reason = str(error)
        except DivergenceError as error:
            status, reason = "failed", str(error)
        except KeyboardInterrupt:
            status = "stopped"
            reason = f"interrupted; go on with `wopt resume {self.directory.path}`"
        self.listener.phase("measuring on test data, drawing samples")
        result = dataclasses.replace(
            self._finish(state),
            status=status,
            reason=reason or "",
            seconds=earlier[0] + time.perf_counter() - self.began[0],
            cpu_seconds=earlier[1] + time.process_time() - self.began[1],
        )
        self.directory.write_result(result.to_dict())
        self._certify(state, status)
        render(self.directory.path)
        self.listener.end(result, self.directory.path)
        return result

    def _finish(self, state: State) -> RunResult:
        """Measure on test data, draw samples and save what the pictures need."""
        blocks = self._blocks()
        dataset = _dataset(self.prepared)
        test = place(dataset, dataset.test, self.config, known=False)
        result = evaluate(self.prepared, blocks, test)
        flow = self.prepared.flow(blocks)
        try:
            samples = flow.sample(SAMPLES, generator=generator(self.config.seed, "samples"))
        except WoptError as error:  # a model without samples is told of, not a failed run
            self.log.write(f"no samples: {error}")
        else:
            with replacing(self.directory.samples) as temporary:
                np.save(temporary, samples.cpu().numpy())
        objective, seed = self.prepared.problem.objective, derive(self.config.seed, "figures")
        truth = is_truth(objective)
        figures = collect(flow, dataset, seed, objective.target, truth=truth)
        write_tensors(self.directory.figures, figures, {})
        return dataclasses.replace(result, versions=versions())

    def _blocks(self) -> list[FlowBlock]:
        data = _dataset(self.prepared)
        return load_blocks(self.directory, self.config, data.dim, data.condition)

    def _certify(self, state: State, status: str) -> None:
        """Write the certificate; where that is not possible, say so: the run stands."""
        if not state.records or not self.config.certify.enabled:
            return
        again = f"`wopt certify {self.directory.path}` does it later"
        if status == "stopped":  # who interrupts does not want to wait
            self.listener.warn(f"not certified; {again}")
            return
        try:
            found = certify(self.prepared, self._blocks(), state, self.listener)
        except WoptError as error:
            self.listener.warn(f"no certificate: {error}")
        except KeyboardInterrupt:
            self.listener.warn(f"certifying was interrupted; {again}")
        else:
            write_json(self.directory.certificate, found.to_dict())
            self.listener.certificate(found)


def is_truth(objective: Objective) -> bool:
    """Return whether the minimiser is the objective's target, and not that of a part of it."""
    if isinstance(objective, Sum):
        return len(objective.parts) == 1 and is_truth(objective.parts[0][1])
    return True


def _beginning(config: RunConfig, prepared: Prepared, state: State) -> Beginning:
    data = _dataset(prepared)
    return Beginning(
        objective=type(config.objective).__name__,
        scheme=type(config.scheme).__name__,
        source=type(config.source).__name__,
        rows=(len(data.train), len(data.valid), len(data.test)),
        dim=data.dim,
        records=state.records,
        config=to_table(config),
    )


def _flat(table: dict[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in table.items()]
