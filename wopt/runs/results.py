"""The end of a run with a directory: scores, samples, pictures, and what else is measured."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from wopt.clock import Stopwatch
from wopt.errors import CapabilityError
from wopt.files import replacing
from wopt.flow import Flow
from wopt.flow.conversions import in_own_units
from wopt.host import host
from wopt.interfaces.listener import Listener
from wopt.interfaces.measurement import FinishedRun
from wopt.interfaces.objective import is_truth
from wopt.origin import in_words
from wopt.runs.evaluate import audited, evaluate
from wopt.runs.log import versions
from wopt.runs.loop import Ended
from wopt.runs.measured import Measured
from wopt.runs.preparation import Prepared, particles_of
from wopt.seeds import derive, generator
from wopt.store.checkpoint import load_blocks
from wopt.store.directory import RunDirectory
from wopt.store.result import RunResult
from wopt.tensors import write_tensors
from wopt.train.record import StepRecord
from wopt.train.wrappers import remembering

SAMPLES = 2000
"""Number of rows of ``samples.npy``."""

_REPORT = 0.5
"""CPU seconds of a report."""


class RunClock(Stopwatch):
    """The seconds that a run takes, with those of the steps that it had when it was resumed."""

    def __init__(self, report: bool) -> None:
        super().__init__()
        self.report = report
        self.before: tuple[StepRecord, ...] = ()

    def read(self) -> dict[str, Any]:
        """Return the seconds so far, s."""
        return {
            "seconds": self.wall + sum(record.seconds for record in self.before),
            "cpu_seconds": self.cpu + sum(record.cpu_seconds for record in self.before),
        }


def finish(
    problem: Prepared,
    ended: Ended,
    directory: RunDirectory,
    listener: Listener,
    log: Callable[[str], None],
    clock: RunClock,
    notes: tuple[str, ...] = (),
    seen: Mapping[str, Any] | None = None,
) -> RunResult:
    """Measure a run and write the results, on this process alone."""
    listener.phase("measuring on test data, drawing samples")
    watch = Stopwatch()
    precise, state = audited(problem, ended.state)
    data = problem.dataset
    assert data is not None
    blocks = load_blocks(directory, problem.config, problem.train.dim, problem.train.condition)
    if precise is not problem:
        blocks = [block.double() for block in blocks]
    # Test rows go through the audited maps once, for the scores and for the certificate.
    known = remembering(blocks, parts=False)
    run = FinishedRun(precise, state, listener, directory, known, lower=ended.lower, notes=notes)
    measured = Measured(problem.config, run, log)
    scores = evaluate(precise, known, particles_of(data, data.test, precise.config, known=False))
    flow = in_own_units(problem.flow(blocks), problem.objective.target)
    _draw(problem, flow, directory, log, listener)
    result = dataclasses.replace(
        scores,
        versions=versions(),
        **measured.automatic(problem, flow),
        **(seen or {}),
        status=ended.status,
        reason=ended.reason,
        **clock.read(),
    )
    directory.write_result(result.to_dict())
    measured.certify(ended.status, watch.cpu + (_REPORT if clock.report else 0.0))
    if clock.report:
        with _reported(f"no report (`wopt report {directory.path}` makes it)", log, listener):
            for page in host().registry.functions("report"):
                listener.phase("writing the report")
                page.render(directory.path)
    listener.end(result, directory.path)
    return result


def _draw(
    problem: Prepared,
    flow: Flow,
    directory: RunDirectory,
    log: Callable[[str], None],
    listener: Listener,
) -> None:
    """Draw samples, and save the data of the pictures."""
    seed, data, objective = problem.seed, problem.dataset, problem.objective
    assert data is not None
    samples = None
    with _reported("no samples", log, listener):
        samples = flow.sample(SAMPLES, generator=generator(seed, "samples"))
    if samples is not None:
        with replacing(directory.samples) as temporary:
            np.save(temporary, samples.cpu().numpy())
    truth = is_truth(objective)
    with _reported("no data of pictures", log, listener):
        for page in host().registry.functions("report"):
            figures = page.collect(
                flow, data, derive(seed, "figures"), objective.target, truth=truth
            )
            write_tensors(directory.figures, figures, {})


@contextlib.contextmanager
def _reported(what: str, log: Callable[[str], None], listener: Listener) -> Iterator[None]:
    """Report an error of what comes after training, by which a trained run does not fail."""
    try:
        yield
    except CapabilityError as error:  # a model without samples
        log(f"{what}: {error}")
    except Exception as error:
        listener.warn(f"{what}: {in_words(error)}")
