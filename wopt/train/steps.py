"""The loop that every run is: one guarded step after another. Read this page first.

A *scheme* states a subproblem at the particles, a *solver* trains a block on it, and the *guard*
judges the block on held-out particles (:mod:`wopt.train.attempt`). *Listeners* receive every
state: they save, tell, and challenge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from wopt.clock import Stopwatch
from wopt.errors import Converged
from wopt.interfaces.listener import SILENT, Listener
from wopt.train.attempt import CONVERGED, advanced, attempt, surrendered
from wopt.train.problem import Problem, State
from wopt.train.record import Retry, StepRecord
from wopt.train.refine import refine


def steps(problem: Problem, state: State | None = None) -> Iterator[State]:
    """Make steps until a stop rule is met; the last record says which.

    Args:
        problem: What to minimise, and how.
        state: A state to go on from, as a checkpoint holds it; by default the beginning.

    Example:
        >>> import torch, wopt
        >>> from wopt.testing import AffineBlock, gaussian_nodes
        >>> x = gaussian_nodes(torch.ones(1).double(), 4 * torch.eye(1).double())
        >>> parts = wopt.build("objective", "kl"), wopt.build("scheme", "jko"), AffineBlock(1)
        >>> solver = wopt.build("solver", "lbfgs")
        >>> problem = wopt.Problem(*parts, solver, stop=wopt.Stop(steps=2), start=(x, x))
        >>> [round(state.energy, 3) for state in steps(problem)]
        [0.246, 0.047]
    """
    state = problem.begin() if state is None else state
    # Evaluated anew, not read from the record, so that a run can go on under another rule.
    reason = problem.stop.reason(state.records)
    while not reason or problem.pending(state):
        state = refine(problem, state) if problem.pending(state) else next_state(problem, state)
        state = state.stopped(problem.stop.reason(state.records))
        for listener in problem.listeners:
            state = listener.stepped(state) or state
        yield state
        reason = state.records[-1].stop


def next_state(problem: Problem, state: State) -> State:
    """Return the state after the next step, with its record.

    A block that the guard rejects is trained again, with a finer grid, at half the rate, and with a
    smaller h where the rule of step sizes says so.
    """
    watch, guard, h = Stopwatch(), problem.guard, problem.step_size(state)
    retries, schedules = tuple[Retry, ...](), tuple[tuple[int, ...], ...]()
    for number in range(guard.retries + 1):
        tried = attempt(problem, state, h, number, schedules)
        if tried.accepted:
            return advanced(problem, state, tried, retries, watch)
        if tried.overfits and (tried.within_noise or number == guard.retries):
            raise Converged(CONVERGED.format(state.step + 1, tried.why_not))
        smaller = problem.scheme.step_size.after_rejection(h) or h
        retries, schedules = (*retries, *tried.retries(smaller)), tried.schedules
        h = smaller
    raise surrendered(problem, state, h, tried)


def iterate(
    problem: Problem, state: State, listener: Listener = SILENT
) -> Iterator[tuple[State, StepRecord]]:
    """Make steps as :func:`steps` does, and yield each state with its record.

    Args:
        problem: What to minimise, and how.
        state: A state from :meth:`Problem.begin` or from a checkpoint.
        listener: Receives progress of the work within a step.
    """
    for after in steps(dataclasses.replace(problem, listeners=(listener,)), state):
        yield after, after.records[-1]
