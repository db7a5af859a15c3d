"""The outer loop: one guarded step after another."""

from __future__ import annotations

from collections.abc import Iterator

from wopt.interfaces.listener import SILENT, Listener
from wopt.train.problem import Problem, State
from wopt.train.record import StepRecord
from wopt.train.refine import pending, refine
from wopt.train.step import next_state

__all__ = ["iterate"]


def iterate(
    problem: Problem, state: State, listener: Listener = SILENT
) -> Iterator[tuple[State, StepRecord]]:
    """Make steps until a stop rule is met; the last record says which.

    Args:
        problem: The objective, the scheme and the other parts of the solve.
        state: A state from :meth:`Problem.begin` or from a checkpoint.
        listener: Receives progress of the work within a step.

    Yields:
        The state after each step (for the next step) and its record (for people); and
        again after joint refinement.

    Raises:
        Converged: A step found nothing that lowers the held-out subproblem; the last state yielded
            is the end of the run.
        DivergenceError: The guard rejected a step and all its retries; the last state yielded
            stands.
    """
    while True:
        if pending(problem, state):
            state = refine(problem, state, listener)
            yield state, state.records[-1]
        # Evaluated anew, not read from the record, so that a run can continue under another rule.
        if state.records and problem.stop.reason(state.records):
            return
        state = next_state(problem, state, listener)
        yield state, state.records[-1]
