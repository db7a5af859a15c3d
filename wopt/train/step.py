"""One guarded step, from a state to the next."""

from __future__ import annotations

import dataclasses
import time

from wopt.interfaces.listener import Listener
from wopt.parallel import team
from wopt.train.attempt import make_step
from wopt.train.chains import seen_by
from wopt.train.clock import elapsed
from wopt.train.measure import record_of
from wopt.train.problem import Problem, State

__all__ = ["next_state"]


def next_state(problem: Problem, state: State, listener: Listener) -> State:
    """Return the state after the next step, with its record.

    Raises:
        Converged: The map lowers the subproblem on the training particles only.
        DivergenceError: Every retry was rejected.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    made = make_step(problem, state, listener)
    parts = problem.scheme, problem.objective
    train = state.train.carried(*parts, made.train, made.block)
    valid = state.valid.after(*parts, made.valid, made.verdict.moved)
    numbers = state.step + 1, made.step_size, state.energy
    record = record_of(problem, *numbers, made.valid, made.block, made.verdict)
    blocks = (made.block,) if problem.scheme.replaces else (*state.blocks, made.block)
    chains, seen = seen_by(problem, state.step + 1, blocks, made.verdict.moved, made.chains)
    record = dataclasses.replace(
        record,
        retries=len(made.attempts),
        attempts=made.attempts,
        loss=made.report.loss,
        iterations=made.report.iterations,
        plan=dict(made.plan),
        time=elapsed(state.records, made.step_size),
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
    )
    if seen is not None and record.weights is not None:
        record = dataclasses.replace(record, weights=min(seen, record.weights))
    record = team().agreed(record)
    reason = problem.stop.reason([*state.records, record])
    return State(
        state.step + 1,
        train,
        valid,
        made.step_size,
        record.energy,
        blocks,
        (*state.records, dataclasses.replace(record, stop=reason)),
        made.plan,
        state.start,
        chains,
    )
