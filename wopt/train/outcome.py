"""What follows from the attempts at a step: the next state, or the end of the run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from wopt.clock import Stopwatch
from wopt.errors import Converged, DivergenceError, WoptError
from wopt.train.attempt import Attempt, attempt
from wopt.train.measure import record_of
from wopt.train.problem import Problem, State
from wopt.train.record import Retry
from wopt.train.solvers import Adam
from wopt.train.stop import elapsed

__all__ = ["CONVERGED", "advanced", "surrendered"]

CONVERGED = (
    "nothing is left to gain by such steps: the best map of step {} lowers the subproblem on the "
    "training particles and on others the identity is better ({})"
)

_RATE, _ITERATIONS = 64, 4
"""Divisors of rates and iterations of a last training near the identity, after all rejections."""


def advanced(
    problem: Problem,
    state: State,
    made: Attempt,
    retries: Sequence[Retry],
    watch: Stopwatch,
) -> State:
    """Return the state after an accepted step, with its record."""
    assert made.verdict is not None
    scheme, moved = problem.scheme, made.verdict.moved
    blocks = (made.block,) if scheme.replaces else (*state.blocks, made.block)
    train = state.train.carried(scheme, made.objective, made.train, made.block)
    valid = state.valid.after(scheme, made.objective, made.valid, moved)
    judged = made.valid.drawn(problem.held_out)
    numbers = state.step + 1, made.step_size, state.energy
    record = record_of(problem, *numbers, judged, made.block, made.verdict)
    chains, seen, plugin = made.chains, None, problem.chains(state.step)
    if plugin is not None:
        chains, seen = plugin.look(problem, state.step + 1, blocks, moved, chains)
    if seen is not None and record.weights is not None:
        record = dataclasses.replace(record, weights=min(seen, record.weights))
    attempts = (*retries, *made.retries(made.step_size))
    record = dataclasses.replace(
        record,
        retries=len(attempts),
        attempts=attempts,
        loss=made.report.loss,
        iterations=made.report.iterations,
        schedules=made.schedules,
        plan=dict(made.plan),
        time=elapsed(state.records, made.step_size),
        seconds=watch.wall,
        cpu_seconds=watch.cpu,
    )
    record = problem.runtime.team.agreed(record)
    return State(
        state.step + 1, train, valid, made.step_size, record.energy, blocks,
        (*state.records, record), made.plan, state.start, chains,
    )  # fmt: skip


def surrendered(problem: Problem, state: State, h: float, last: Attempt) -> WoptError:
    """Return why the run ends with the steps that it has, after every attempt was rejected."""
    if problem.guard.keep and state.step:
        return Converged(
            f"no step {state.step + 1} was found that holds on held-out particles "
            f"({last.why_not}); the {state.step} step(s) before it are kept (guard.keep)"
        )
    rose = last.rise is not None and math.isfinite(last.rise.value)
    if rose and problem.guard.retries and _at_minimum(problem, state, h):
        return Converged(CONVERGED.format(state.step + 1, last.why_not))
    return DivergenceError(
        f"step {state.step + 1} was rejected {problem.guard.retries + 1} time(s), the last time "
        f"because {last.why_not}; the {state.step} step(s) before it stand. Try "
        f"{', '.join(_advice(problem, state))}"
    )


def _at_minimum(problem: Problem, state: State, h: float) -> bool:
    """Whether training from the identity at a very small rate finds nothing that generalises."""
    # So close to the identity training lowers the subproblem on its own particles wherever there
    # is a slope: this tells a minimum from a rate that was too large.
    solver = problem.solver.of_step(state.step)
    if not isinstance(solver, Adam):
        return False
    matrices = solver.rate_of_matrices
    slow = solver.varied(
        learning_rate=solver.learning_rate / _RATE,
        matrix_rate=None if matrices is None else matrices / _RATE,
        iterations=max(1, solver.iterations // _ITERATIONS),
        seconds=None,
        warm_start=False,
    )
    near = attempt(dataclasses.replace(problem, solver=slow), state, h, 0)
    if not near.accepted:
        return near.overfits
    assert near.verdict is not None
    decrease = near.verdict.decrease
    return decrease.value >= -max(decrease.error, 0.0)


def _advice(problem: Problem, state: State) -> list[str]:
    """Return options that this run's solver and step use, and that may help."""
    solver = problem.solver.of_step(state.step)
    advice = []
    if isinstance(solver, Adam):
        rate = "learning_rate" if solver.rate_of_matrices is None else "matrix_rate"
        advice = [f"a smaller solver.{rate}", "more solver.iterations"]
    if state.block is not None and solver.warm_start:
        advice.append("solver.warm_start = false")
    if problem.guard.standard_errors < 2:
        advice.append("guard.standard_errors = 2")
    advice.append("a smaller step size")
    if state.train.particles.points.dtype == torch.float32:
        advice.append('dtype = "float64"')
    return [*advice[:-1], f"or {advice[-1]}"]
