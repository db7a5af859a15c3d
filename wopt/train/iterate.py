"""The outer loop: one guarded step after another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from wopt.push import push
from wopt.train.attempt import make_step
from wopt.train.measure import record_of
from wopt.train.problem import Problem, Progress, State
from wopt.train.record import StepRecord
from wopt.train.refine import pending, refine

__all__ = ["iterate"]


def iterate(
    problem: Problem, state: State, progress: Progress | None = None
) -> Iterator[tuple[State, StepRecord]]:
    """Make steps until a stop rule is met; the last record says which.

    Args:
        problem: What is minimised and how.
        state: From :meth:`Problem.begin`, or from a checkpoint.
        progress: Told of the work within a step.

    Yields:
        The state after each step (what the next one needs) and its record (what people want); and
        again after joint refinement.

    Raises:
        Converged: A step found nothing that lowers the held-out subproblem; the last state yielded
            is the end of the run.
        DivergenceError: The guard rejected a step and all its retries; the last state yielded
            stands.
    """
    while True:
        if pending(problem, state):
            state = refine(problem, state, progress)
            yield state, state.records[-1]
        # Asked anew, not read from the record, so that a run may go on under a later stop rule.
        if state.records and problem.stop.reason(state.records):
            return
        state = _step(problem, state, progress)
        yield state, state.records[-1]


def _step(problem: Problem, state: State, progress: Progress | None) -> State:
    wall, cpu = time.perf_counter(), time.process_time()
    made = make_step(problem, state, progress)
    parts = problem.scheme, problem.objective
    pushed = push(made.block, state.train.particles)
    train = state.train.after(*parts, made.train, pushed)
    valid = state.valid.after(*parts, made.valid, made.verdict.moved)
    record = record_of(
        problem,
        state.step + 1,
        made.step_size,
        state.energy,
        made.valid,
        made.block,
        made.verdict,
    )
    record = dataclasses.replace(
        record,
        retries=len(made.attempts),
        attempts=made.attempts,
        loss=made.report.loss,
        iterations=made.report.iterations,
        plan=dict(made.plan),
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
    )
    reason = problem.stop.reason([*state.records, record])
    return State(
        state.step + 1,
        train,
        valid,
        made.step_size,
        record.energy,
        (*state.blocks, made.block),
        (*state.records, dataclasses.replace(record, stop=reason)),
        made.plan,
        state.start,
    )
