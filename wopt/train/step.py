"""One guarded step: solve its subproblems, judge them, try again where that may help."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from wopt.errors import Converged, DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.interfaces.scheme import History
from wopt.interfaces.solver import SolveReport
from wopt.interfaces.subproblem import Subproblem
from wopt.origin import check_returned
from wopt.parallel import alone, team
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import generator
from wopt.sharded import ShardedParticles
from wopt.train.chains import chains_of, seen_by
from wopt.train.guard import Verdict
from wopt.train.measure import record_of
from wopt.train.problem import ParticleHistory, Problem, State
from wopt.train.record import Action, Retry
from wopt.train.solvers import Adam
from wopt.train.stage import Stage
from wopt.train.stop import elapsed, landed
from wopt.train.wrappers import spread

__all__ = ["Accepted", "make_step", "next_state"]


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A step that the guard let stand.

    Attributes:
        block: The trained map T.
        step_size: h of the step.
        train, valid: The subproblem that the map solves, at the training and at the held-out
            particles.
        verdict: Measurements of the guard.
        report: Report of the inner solver.
        attempts: Earlier attempts that were not accepted, with their reasons.
        plan: Numbers that the scheme planned for the step, by name.
        chains: Chains of the target after training towards them, shape ``(m, d)``, or ``None``.
        schedules: Iterations in each part of all schedules of the step by the clock.
    """

    block: FlowBlock
    step_size: float
    train: Subproblem
    valid: Subproblem
    verdict: Verdict
    report: SolveReport
    attempts: tuple[Retry, ...]
    plan: Mapping[str, float]
    chains: Tensor | None = None
    schedules: tuple[tuple[int, ...], ...] = ()


def make_step(problem: Problem, state: State, listener: Listener) -> Accepted:
    """Return the next step.

    Raises:
        Converged: The map lowers the subproblem on the training particles only; or every
            retry was rejected and the steps before are to be kept.
        DivergenceError: Every retry was rejected.
        PluginError: The rule gives a step size that is not positive and finite.
    """
    rule = problem.scheme.step_size
    h = landed(rule(state.step, state.step_size), elapsed(state.records), problem.ends)
    retries: tuple[Retry, ...] = ()
    schedules: list[tuple[int, ...]] = []
    rose = False
    for number in range(problem.guard.retries + 1):
        if not 0 < h < math.inf:
            check_returned(rule, "__call__", h, "a positive finite number")
        outcome = _Attempt(problem, state, h, number, listener, schedules).make()
        if isinstance(outcome, Accepted):
            attempts = retries + outcome.attempts
            return dataclasses.replace(outcome, attempts=attempts, schedules=tuple(schedules))
        *refinements, rejection = outcome.retries
        overfits, last = outcome.overfits, number == problem.guard.retries
        if overfits and (last or outcome.within_noise):
            raise Converged(_CONVERGED.format(state.step + 1, rejection.reason))
        smaller = rule.after_rejection(h) or h
        rejection = dataclasses.replace(rejection, next_step_size=smaller)
        retries = (*retries, *refinements, rejection)
        h, rose = smaller, outcome.rose
    if problem.guard.keep and state.step:
        raise Converged(
            f"no step {state.step + 1} was found that holds on held-out particles "
            f"({retries[-1].reason}); the {state.step} step(s) before it are kept (guard.keep)"
        )
    if rose and problem.guard.retries and _at_minimum(problem, state, h, listener):
        raise Converged(_CONVERGED.format(state.step + 1, retries[-1].reason))
    raise DivergenceError(
        f"step {state.step + 1} was rejected {problem.guard.retries + 1} time(s), the last time "
        f"because {retries[-1].reason}; the {state.step} step(s) before it stand. Try "
        f"{', '.join(_advice(problem, state))}"
    )


_CONVERGED = (
    "nothing is left to gain by such steps: the best map of step {} lowers the subproblem on the "
    "training particles and on others the identity is better ({})"
)

_RATE, _ITERATIONS = 64, 4
"""Divisors of rates and iterations of a last training near the identity, after all rejections."""


def _at_minimum(problem: Problem, state: State, h: float, listener: Listener) -> bool:
    """Whether training from the identity at a very small rate finds nothing that generalises."""
    # So close to the identity training lowers the subproblem on its own particles wherever there
    # is a slope: this tells a minimum from a rate that was too large.
    solver = problem.solver.of_step(state.step)
    if not isinstance(solver, Adam):
        return False
    slow = solver.varied(
        learning_rate=solver.learning_rate / _RATE,
        matrix_rate=None if solver.rate_of_matrices is None else solver.rate_of_matrices / _RATE,
        iterations=max(1, solver.iterations // _ITERATIONS),
        seconds=None,
        warm_start=False,
    )
    near = dataclasses.replace(problem, solver=slow)
    outcome = _Attempt(near, state, h, 0, listener).make()
    if isinstance(outcome, Rejected):
        return outcome.overfits
    decrease = outcome.verdict.decrease
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


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A step that the guard rejected.

    Attributes:
        retries: Refinements made, and last the reason of the rejection.
        overfits: Whether the map lowers the subproblem on the training particles, so that training
            worked but does not generalise.
        within_noise: Whether the rise on held-out particles is at most a few standard errors, or
            its standard error is unknown because there is one row.
        rose: Whether a finite value rose, and that was the reason.
    """

    retries: tuple[Retry, ...]
    overfits: bool = False
    within_noise: bool = False
    rose: bool = False


_NOISE = 4.0
"""Standard errors up to which a rise on held-out particles counts as noise."""


@torch.no_grad()
def _lowers(subproblem: Subproblem, block: FlowBlock) -> bool:
    """Whether a map lowers a subproblem at its own particles."""
    at = subproblem.particles
    # If particles are held by several processes, the first evaluates its own.
    with alone() if isinstance(at, ShardedParticles) else contextlib.nullcontext():
        change = subproblem.change(spread(block), push(block, at, audit=True))
    return team().agreed(change.value) < 0


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """One training of all stages of a step, at one step size."""

    problem: Problem
    state: State
    step_size: float
    number: int
    listener: Listener
    schedules: list[tuple[int, ...]] = dataclasses.field(default_factory=list)

    def make(self) -> Accepted | Rejected:
        """Return the step, or why it was rejected."""
        problem, scheme, step = self.problem, self.problem.scheme, self.state.step
        problem.redraw(f"step {step + 1}")
        objective = problem.objective.of_step(step)
        past = self._history(self.state.train, self.state.plan)
        plan = team().agreed(scheme.plan(past, objective))
        histories = self._histories(plan)
        block, retries = self.state.block, list[Retry]()
        for number in range(scheme.stages):
            train, valid = (scheme.subproblem(past, objective) for past in histories)
            final = number == scheme.stages - 1
            fresh = self._fresh(plan) if problem.solver.of_step(step).fresh else None
            forward = chains_of(problem, self.state, self.number) if scheme.stages == 1 else None
            parts = (train, valid, self.listener, fresh, forward, self.schedules)
            stage = Stage(problem, step, number, self.number, *parts)
            block, report = stage.train(block)
            if report.diverged:
                reason = f"the loss became {report.loss}"
                return Rejected((*retries, self._retry("trained again at half the rate", reason)))
            verdict, coarse = stage.judge(block, final=final)
            retries += [self._retry("grid made finer", reason) for reason in coarse]
            if not verdict.accepted:
                return self._rejected(verdict, retries, train, block)
            if final:
                break
            done = push(block, train.particles), verdict.moved
            histories = [
                dataclasses.replace(past, stages=(*past.stages, particles))
                for past, particles in zip(histories, done, strict=True)
            ]
        assert block is not None
        chains = self.state.chains if forward is None else forward.points
        made = (verdict, report, tuple(retries), plan, chains)
        return Accepted(block, self.step_size, train, valid, *made)

    def _rejected(
        self, verdict: Verdict, retries: Sequence[Retry], train: Subproblem, block: FlowBlock
    ) -> Rejected:
        """Return the rejection of a step by the guard's verdict."""
        action: Action = "trained again, finer and at half the rate"
        rejected = (*retries, self._retry(action, verdict.why_not))
        if verdict.lacks_decrease is None or verdict.inversion_error is None:
            return Rejected(rejected)
        rise = verdict.decrease  # not of the energy alone: then the step was too large
        overfits = rise.value > 0 and _lowers(train, block)
        noise = math.isnan(rise.error) or rise.value <= _NOISE * rise.error
        return Rejected(rejected, overfits, noise, math.isfinite(rise.value))

    def _fresh(self, plan: Mapping[str, float]) -> Callable[[], Subproblem] | None:
        """Return a function that draws the subproblem at new training particles, if possible."""
        problem, state, scheme = self.problem, self.state, self.problem.scheme
        if scheme.stages > 1 or problem.draw is None:
            return None
        batch_size = problem.solver.of_step(state.step).batch_size
        rng = generator(problem.seed, "fresh", state.step + 1, self.number)

        @torch.no_grad()
        def draw() -> Subproblem:
            assert problem.draw is not None
            start = problem.draw(batch_size, rng)
            objective = problem.objective.of_step(state.step)
            if scheme.replaces:
                trace = ParticleHistory(start, ahead=state.block)
                return scheme.subproblem(self._history(trace, plan, start), objective)
            trace = ParticleHistory(start)
            previous: float | None = None
            for block, record in zip(state.blocks, state.records, strict=True):
                past = trace.history(record.step - 1, record.step_size, previous, record.plan)
                sub = scheme.subproblem(past, problem.objective.of_step(record.step - 1))
                trace = trace.after(scheme, problem.objective, sub, push(block, sub.particles))
                previous = record.step_size
            return scheme.subproblem(self._history(trace, plan), objective)

        return draw

    def _histories(self, plan: Mapping[str, float]) -> list[History]:
        """Return the scheme's histories of the training and the held-out split."""
        splits, starts = (self.state.train, self.state.valid), self.state.start or (None, None)
        return [self._history(of, plan, at) for of, at in zip(splits, starts, strict=True)]

    def _history(
        self, trace: ParticleHistory, plan: Mapping[str, float], start: Particles | None = None
    ) -> History:
        numbers = self.state.step, self.step_size, self.state.step_size
        return trace.history(*numbers, plan, start)

    def _retry(self, action: Action, reason: str) -> Retry:
        return Retry(self.number + 1, action, reason, self.step_size, self.step_size)


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
        schedules=made.schedules,
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
