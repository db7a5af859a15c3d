"""The loop for a listener, with the records of the steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from wopt.interfaces.listener import SILENT, Listener
from wopt.train.problem import Problem, State
from wopt.train.record import StepRecord
from wopt.train.steps import steps

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
    for after in steps(dataclasses.replace(problem, listeners=(listener,)), state):
        yield after, after.records[-1]
