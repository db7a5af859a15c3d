"""How many threads train a run: measured at its start, where the user has not said it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from wopt.clock import Stopwatch
from wopt.config.model import RunConfig
from wopt.interfaces.listener import Listener
from wopt.runs.preparation import Prepared
from wopt.train.problem import Problem
from wopt.train.solvers import LBFGS
from wopt.train.stage import Stage, first_of

_LAPS, _SECONDS = 5, 0.1
"""Iterations with each number of threads, and the wall seconds after which no more are made."""

_MOST = 1000
"""Iterations, more than all numbers of threads take together."""

_ROWS = 2000
"""Particles that an iteration is measured on, and at least four batches of them."""

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


class Lap(NamedTuple):
    """The seconds that an iteration takes: on the wall, and of all processors together."""

    wall: float
    cpu: float


def best_of(laps: Mapping[int, Lap]) -> int:
    """Return the number of threads with the least wall seconds times CPU seconds.

    So p threads are taken if they shorten an iteration by a larger factor than that by which they
    raise its CPU seconds, which are what a budget counts.

    Example:
        >>> [best_of({1: Lap(1.0, 1.0), 2: two}) for two in (Lap(0.9, 1.8), Lap(0.6, 1.2))]
        [1, 2]
    """
    return min(laps, key=lambda number: laps[number].wall * laps[number].cpu)


def with_threads(prepared: Prepared) -> Prepared:
    """Return the run with the number of threads that trains it, in ``config.run.threads``.

    A number that is in the configuration stays. A number that the user has set (``OMP_NUM_THREADS``
    or ``MKL_NUM_THREADS``, or :func:`torch.set_num_threads` to another number than torch's own) is
    recorded. Otherwise iterations of the run are measured, see :func:`laps_of` and
    :func:`best_of`. Runs by several processes and on other devices than the CPU are
    returned as they are.
    """
    run, device = prepared.config.run, prepared.train.points.device.type
    if run.threads is not None or device != "cpu" or _several():
        return prepared
    number, note = torch.get_num_threads(), ""
    if number > 1 and not _set_by_user(number):
        laps = laps_of(prepared, number)
        number = best_of(laps) if len(laps) > 1 else number
        note = _told(laps, number) if len(laps) > 1 else ""
    return _of_threads(prepared, number, note)


def like(measured: Prepared, prepared: Prepared) -> Prepared:
    """Return a run with the number of threads of another, on which it was measured."""
    number = measured.config.run.threads
    return prepared if number is None else _of_threads(prepared, number, measured.threads)


def _of_threads(prepared: Prepared, number: int, note: str) -> Prepared:
    run = prepared.config.run.with_options(threads=number)
    config = prepared.config.model_copy(update={"run": run})
    return dataclasses.replace(prepared, config=config, threads=note)


@contextlib.contextmanager
def training_threads(config: RunConfig) -> Iterator[None]:
    """Compute with the threads that a run has recorded inside; several processes keep theirs."""
    number, before = config.run.threads, torch.get_num_threads()
    if number in (None, before) or _several():
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def laps_of(prepared: Prepared, most: int) -> dict[int, Lap]:
    """Return what an iteration takes with 1, 2, 4, ... threads, as long as the cost falls.

    The inner solver trains a new block on batches of the run for a few iterations, which are thrown
    away. The random numbers and the block of the run stay as they are. This takes a tenth of a
    second a number, or an iteration a number where that is longer.
    """
    problem = prepared.problem
    step = _measured_step(problem)
    if step is None:
        return {}
    timing, before = _Timing(most), torch.get_num_threads()
    # What is wrong with the parts is told by the run, not by this.
    with contextlib.suppress(Exception):
        try:
            torch.set_num_threads(1)
            _stage(prepared, step, timing).train(None)
        finally:
            torch.set_num_threads(before)
    return timing.laps


class _Enough(Exception):
    """Ends a training that has been measured."""


class _Timing(Listener):
    """Times iterations with 1, 2, 4, ... threads until the cost rises."""

    def __init__(self, most: int) -> None:
        self.most, self.number = most, 1
        self.laps: dict[int, Lap] = {}
        self.now: list[Lap] = []
        self.watch: Stopwatch | None = None

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Time the iteration that has been made, which the first one only begins."""
        if self.watch is not None:
            self.now.append(Lap(self.watch.wall, self.watch.cpu))
            if len(self.now) > _LAPS or sum(lap.wall for lap in self.now) > _SECONDS:
                self._next()
        self.watch = Stopwatch()

    def _next(self) -> None:
        counted = self.now[1:] or self.now  # the first one starts the threads
        self.laps[self.number] = Lap(*map(statistics.median, zip(*counted, strict=True)))
        if self.number == self.most or best_of(self.laps) != self.number:
            raise _Enough
        self.number, self.now = min(2 * self.number, self.most), []
        torch.set_num_threads(self.number)


def _stage(prepared: Prepared, step: int, listener: Listener) -> Stage:
    """Return the training of a step at the start, on few rows where it is by batches."""
    solver = prepared.solver.of_step(step)
    few = None if not solver.on_batches else slice(max(_ROWS, 4 * solver.batch_size))
    splits = [p if few is None else p.rows(few) for p in (prepared.train, prepared.valid)]
    unasked = ("patience", "tolerance", "relative_tolerance", "weights", "seconds")
    solver = solver.varied(**dict.fromkeys(unasked), chains=0, check_every=_MOST, iterations=_MOST)
    problem = dataclasses.replace(prepared, solver=solver)
    train, valid = (first_of(problem, particles) for particles in splits)
    return Stage(problem, step, 0, 0, train, valid, listener)


def _measured_step(problem: Problem) -> int | None:
    """Return the last step that has a block or a solver of its own and trains by iterations."""
    several = 1 if not isinstance(problem.block, list | tuple) else len(problem.block)
    steps = max(several, len(problem.solver.each))
    for step in reversed(range(min(steps, problem.stop.steps or steps))):
        solver = problem.solver.of_step(step)
        if solver.on_batches or isinstance(solver, LBFGS):
            return step
    return None


def _set_by_user(number: int) -> bool:
    """Whether this number of threads is the user's, not the one that torch begins with."""
    given = any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    return given or number not in _own_numbers()


def _own_numbers() -> set[int]:
    """Return the numbers that torch may begin with: of the processors, with MKL of their cores."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = affinity(0) if affinity else set(range(os.cpu_count() or 1))
    numbers = {len(processors)}
    with contextlib.suppress(OSError):
        numbers.add(len({Path(_TOPOLOGY.format(one)).read_text() for one in processors}))
    return numbers


def _several() -> bool:
    """Whether several processes make the run, which have their own numbers."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _told(laps: Mapping[int, Lap], number: int) -> str:
    """Return what was measured, in words."""
    measured = ", ".join(
        f"{1000 * lap.wall:.3g} ms ({1000 * lap.cpu:.3g} CPU ms) with {n}"
        for n, lap in laps.items()
    )
    return f"trains with {number} thread{'s'[: number > 1]}: an iteration takes {measured}"
