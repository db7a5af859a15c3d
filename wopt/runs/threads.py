"""How many threads train a run: measured at its start, where the user has not said it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from wopt.clock import Stopwatch
from wopt.config.model import RunConfig
from wopt.runs.preparation import Prepared
from wopt.train.solvers import Clocked
from wopt.train.stage import Stage, first_of

_SECONDS = 0.1
"""CPU seconds in which iterations are made with each number of threads."""

_ROWS = 2000
"""Particles that an iteration is measured on, and at least four batches of them."""


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

    A number that is in the configuration stays, and one that the user has set in the environment
    (``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS``) is recorded. Otherwise iterations of the run are
    measured, with torch's number of threads at most, see :func:`laps_of` and :func:`best_of`.
    Runs by several processes and on other devices than the CPU are returned as they are.
    """
    run, device = prepared.config.run, prepared.train.points.device.type
    if run.threads is not None or device != "cpu" or _several():
        return prepared
    number = torch.get_num_threads()
    told = any(os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL"))
    laps = {} if told or number == 1 else laps_of(prepared, number)
    return _of_threads(prepared, best_of(laps) if laps else number)


def like(measured: Prepared, prepared: Prepared) -> Prepared:
    """Return a run with the number of threads of another, on which it was measured."""
    return _of_threads(prepared, measured.config.run.threads)


def _of_threads(prepared: Prepared, number: int | None) -> Prepared:
    run = prepared.config.run.with_options(threads=number)
    return dataclasses.replace(prepared, config=prepared.config.model_copy(update={"run": run}))


@contextlib.contextmanager
def training_threads(config: RunConfig) -> Iterator[None]:
    """Compute with the threads that a run has recorded inside; several processes keep theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if _several() else config.run.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def laps_of(prepared: Prepared, most: int) -> dict[int, Lap]:
    """Return what an iteration takes with 1, 2, 4, ... threads, as long as the cost falls.

    The solver trains a new block on batches of the run for a tenth of a second a number, or an
    iteration where that is longer, and the block is thrown away. The random numbers and the block
    of the run stay as they are.
    """
    laps: dict[int, Lap] = {}
    number, before = 1, torch.get_num_threads()
    # What is wrong with the parts is told by the run, not by this.
    with contextlib.suppress(Exception):
        try:
            stage = _stage(prepared)
            if not isinstance(stage.solver, Clocked):
                return laps
            block = stage.train(None)[0]
            while number not in laps:
                torch.set_num_threads(number)
                watch = Stopwatch()
                made = stage.go_on(block, 0)[1].iterations
                laps[number] = Lap(watch.wall / made, watch.cpu / made)
                number = min(2 * best_of(laps), most)
        finally:
            torch.set_num_threads(before)
    return laps


def _stage(prepared: Prepared) -> Stage:
    """Return a short training of the last step that has a block or a solver of its own."""
    problem = prepared.problem
    several = 1 if not isinstance(problem.block, list | tuple) else len(problem.block)
    step = min(max(several, len(problem.solver.each)), problem.stop.steps or several) - 1
    solver = problem.solver.of_step(step)
    few = slice(max(_ROWS, 4 * solver.batch_size)) if solver.on_batches else slice(None)
    unasked = ("patience", "tolerance", "relative_tolerance", "weights", "recorded")
    solver = solver.varied(**dict.fromkeys(unasked), chains=0, seconds=_SECONDS)
    short = dataclasses.replace(problem, solver=solver, begun=None)
    train, valid = (first_of(short, p.rows(few)) for p in (prepared.train, prepared.valid))
    return Stage(short, step, 0, 0, train, valid)


def _several() -> bool:
    """Whether several processes make the run, which have their own numbers."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
