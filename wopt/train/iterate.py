"""The outer loop: one guarded step after another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from wopt.capabilities import Need
from wopt.particles import Particles
from wopt.push import push
from wopt.stein.residual import affine_residual
from wopt.train.attempt import Accepted, make_step
from wopt.train.guard import nll
from wopt.train.problem import Problem, Progress, State
from wopt.train.record import StepRecord

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
        The state after each step (what the next one needs) and its record (what people want).

    Raises:
        DivergenceError: The guard rejected a step and all its retries; the last state yielded
            stands.
    """
    # Asked anew, not read from the record, so that a run may go on under a later stop rule.
    while not (state.records and problem.stop.reason(state.records)):
        state = _step(problem, state, progress)
        yield state, state.records[-1]


def _step(problem: Problem, state: State, progress: Progress | None) -> State:
    wall, cpu = time.perf_counter(), time.process_time()
    made = make_step(problem, state, progress)
    parts = problem.scheme, problem.objective
    pushed = push(made.block, state.train.particles)
    train = state.train.after(*parts, made.train, pushed)
    valid = state.valid.after(*parts, made.valid, made.verdict.moved)
    record = _record(problem, state, made)
    record = dataclasses.replace(
        record, seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu
    )
    reason = problem.stop.reason([*state.records, record])
    return State(
        state.step + 1,
        train,
        valid,
        made.step_size,
        record.energy,
        made.block,
        (*state.records, dataclasses.replace(record, stop=reason)),
        made.plan,
    )


def _record(problem: Problem, state: State, made: Accepted) -> StepRecord:
    verdict = made.verdict
    before, moved = state.valid.particles, verdict.moved
    squared = (moved.points - before.points).square().sum(1)
    condition = made.valid.stationarity(made.block)
    return StepRecord(
        step=state.step + 1,
        step_size=made.step_size,
        energy=verdict.energy,
        energy_change=verdict.energy - state.energy,
        w2_step=float(before.mean(squared).sqrt()),
        decrease=verdict.decrease.value,
        decrease_error=verdict.decrease.error,
        residual=None if condition is None else affine_residual(condition),
        nll_valid=_mean_nll(problem, moved),
        likelihood_error=verdict.likelihood_error,
        inversion_error=verdict.inversion_error,
        retries=len(made.attempts),
        attempts=made.attempts,
        terms={k: float(v) for k, v in problem.objective.terms(moved).items()},
        loss=made.report.loss,
        iterations=made.report.iterations,
        seconds=0.0,
        cpu_seconds=0.0,
        plan=dict(made.plan),
    )


def _mean_nll(problem: Problem, particles: Particles) -> float | None:
    target = problem.objective.target
    values = nll(problem.objective, particles)
    if values is None or target is None or Need.NORMALISED not in target.provides:
        return None
    return float(particles.mean(values)) - problem.log_det
