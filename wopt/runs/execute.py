"""Making a run: begin or go on, save every step, end with results whatever happens."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import Converged, DivergenceError, WoptError
from wopt.files import replacing, write_json
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.report import collect, render
from wopt.runs.certify import certify
from wopt.runs.evaluate import evaluate
from wopt.runs.observer import Observer
from wopt.runs.prepare import Prepared, conditions_of, place, prepare
from wopt.seeds import derive, generator
from wopt.store.checkpoint import load_blocks, load_state, save_state, save_transform
from wopt.store.directory import RunDirectory, write_tensors
from wopt.train.iterate import iterate
from wopt.train.problem import State
from wopt.train.record import StepRecord

__all__ = ["resume", "run", "versions"]

SAMPLES = 2000
"""Rows of ``samples.npy``."""


def run(config: RunConfig, out: Path, observer: Observer | None = None) -> dict[str, Any]:
    """Make a run in a new directory and return what ``result.json`` holds.

    Args:
        config: The validated configuration.
        out: The run directory, which must not hold a run yet.
        observer: Told of progress.

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
    watch = observer or Observer()
    return _Execution(directory, config, prepared, watch, began).go(state)


def resume(out: Path, observer: Observer | None = None) -> dict[str, Any]:
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
    return _Execution(directory, config, prepared, observer or Observer(), began).go(state)


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
        observer: Observer,
        began: tuple[float, float],
    ) -> None:
        self.directory = directory
        self.config = config
        self.prepared = prepared
        self.observer = observer
        self.began = began

    def go(self, state: State) -> dict[str, Any]:
        """Make the remaining steps and write the results."""
        earlier = sum(r.seconds for r in state.records), sum(r.cpu_seconds for r in state.records)
        self._log(f"begins at step {state.step + 1} with {', '.join(_flat(versions()))}")
        self.observer.begin(self.config, self.prepared, state)
        self._track("start", to_table(self.config))
        status, reason = "done", state.records[-1].stop if state.records else None
        try:
            for after, record in iterate(self.prepared.problem, state, self.observer.progress):
                save_state(self.directory, after, self.config)
                state, reason = after, record.stop
                self._tell(record)
        except Converged as error:
            reason = str(error)
        except DivergenceError as error:
            status, reason = "failed", str(error)
        except KeyboardInterrupt:
            status = "stopped"
            reason = f"interrupted; go on with `wopt resume {self.directory.path}`"
        self.observer.pause("measuring on test data, drawing samples")
        result = self._finish(state, status, reason or "")
        result["seconds"] = earlier[0] + time.perf_counter() - self.began[0]
        result["cpu_seconds"] = earlier[1] + time.process_time() - self.began[1]
        self.directory.write_result(result)
        self._certify(state)
        render(self.directory.path)
        self._log(f"{status}: {reason}")
        self._track("end", result)
        self.observer.end(self.config, result, self.directory)
        return result

    def _finish(self, state: State, status: str, reason: str) -> dict[str, Any]:
        """Measure on test data, draw samples and save what the pictures need."""
        blocks = self._blocks()
        dataset = _dataset(self.prepared)
        test = place(dataset, dataset.test, self.config, known=False)
        result = {"status": status, "reason": reason, "steps": state.step}
        result |= evaluate(self.prepared, blocks, test)
        model = "push_forward" if self.prepared.pushes else "pull_back"
        result |= {"model": model, "versions": versions()}
        flow = self.prepared.flow(blocks)
        try:
            samples = flow.sample(SAMPLES, generator=generator(self.config.seed, "samples"))
        except WoptError as error:  # a model without samples is told of, not a failed run
            self._log(f"no samples: {error}")
        else:
            with replacing(self.directory.samples) as temporary:
                np.save(temporary, samples.cpu().numpy())
        target = self.prepared.problem.objective.target
        figures = collect(flow, dataset, derive(self.config.seed, "figures"), target)
        write_tensors(self.directory.figures, figures, {})
        return result

    def _blocks(self) -> list[FlowBlock]:
        data = _dataset(self.prepared)
        return load_blocks(self.directory, self.config, data.dim, data.condition)

    def _certify(self, state: State) -> None:
        """Write the certificate; where that is not possible, say so: the run stands."""
        if not state.records or not self.config.certify.enabled:
            return
        again = f"`wopt certify {self.directory.path}` does it later"
        self.observer.pause("certifying")
        try:
            found = certify(self.prepared, self._blocks(), state)
        except WoptError as error:
            self._log(f"no certificate: {error}")
            self.observer.warn(f"no certificate: {error}")
        except KeyboardInterrupt:
            self._log("certifying was interrupted")
            self.observer.warn(f"certifying was interrupted; {again}")
        else:
            write_json(self.directory.certificate, found)
            self.observer.certificate(found)

    def _tell(self, record: StepRecord) -> None:
        self.observer.step(record)
        self._track("step", record.to_dict())
        self._log(
            f"step {record.step}: h {record.step_size:g}, energy {record.energy:.6g}, "
            f"retries {record.retries}" + "".join(f"; {a}" for a in record.attempts)
        )

    def _track(self, event: str, value: dict[str, Any]) -> None:
        """Call the tracker; its errors are told once and never end the run."""
        if self.config.tracker is None:
            return
        try:
            getattr(self.config.tracker, event)(value)
        except Exception as error:
            self._log(f"the tracker failed at {event}: {type(error).__name__}: {error}")
            self.observer.warn(f"the tracker failed at {event}: {type(error).__name__}: {error}")

    def _log(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with self.directory.log.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {text}\n")


def _flat(table: dict[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in table.items()]
