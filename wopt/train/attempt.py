"""Making one step: solve its subproblems, judge them, try again where that may help."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.scheme import History
from wopt.interfaces.subproblem import Subproblem
from wopt.push import push
from wopt.train.guard import Verdict
from wopt.train.problem import Problem, Progress, State, Trace
from wopt.train.record import Action, Retry
from wopt.train.solver import InnerReport
from wopt.train.stage import Stage

__all__ = ["Accepted", "make_step"]


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A step that the guard let stand.

    Attributes:
        block: Its map.
        step_size: h.
        train, valid: The subproblem that the map solves, at either split's particles.
        verdict: What the guard measured.
        report: What the inner solver did.
        attempts: What was retried, and why.
        plan: What the scheme planned.
    """

    block: FlowBlock
    step_size: float
    train: Subproblem
    valid: Subproblem
    verdict: Verdict
    report: InnerReport
    attempts: tuple[Retry, ...]
    plan: Mapping[str, float]


def make_step(problem: Problem, state: State, progress: Progress | None) -> Accepted:
    """Return the next step.

    Raises:
        DivergenceError: Every retry was rejected.
    """
    rule = problem.scheme.step_size
    h = rule(state.step, state.step_size)
    retries: tuple[Retry, ...] = ()
    for number in range(problem.guard.retries + 1):
        found = _Attempt(problem, state, h, number, progress).make()
        if isinstance(found, Accepted):
            return dataclasses.replace(found, attempts=retries + found.attempts)
        *refinements, rejection = found
        smaller = rule.after_rejection(h) or h
        rejection = dataclasses.replace(rejection, next_step_size=smaller)
        retries = (*retries, *refinements, rejection)
        h = smaller
    raise DivergenceError(
        f"step {state.step + 1} was rejected {problem.guard.retries + 1} time(s), the last time "
        f"because {retries[-1].reason}; the {state.step} step(s) before it stand. Try "
        "a smaller solver.learning_rate or step size, more solver.iterations, or smoother maps "
        "(for block ode: more steps, less sharpness)"
    )


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """One training of all stages of a step, at one step size."""

    problem: Problem
    state: State
    step_size: float
    number: int
    progress: Progress | None

    def make(self) -> Accepted | list[Retry]:
        """Return the step; or what was refined, and last why it was rejected all the same."""
        problem, scheme, step = self.problem, self.problem.scheme, self.state.step
        problem.redraw(self.state.train.particles, f"step {step + 1}")
        plan = scheme.plan(self._history(self.state.train, self.state.plan), problem.objective)
        histories = [self._history(of, plan) for of in (self.state.train, self.state.valid)]
        block, retries = self.state.block, list[Retry]()
        for number in range(scheme.stages):
            train, valid = (scheme.subproblem(past, problem.objective) for past in histories)
            final = number == scheme.stages - 1
            stage = Stage(problem, step, number, self.number, train, valid, self.progress)
            block, report = stage.train(block)
            if report.diverged:
                reason = f"the loss became {report.loss}"
                return [*retries, self._retry("trained again at half the rate", reason)]
            verdict, coarse = stage.judge(block, final=final)
            retries += [self._retry("grid made finer", reason) for reason in coarse]
            if not verdict.accepted:
                action: Action = "trained again, finer and at half the rate"
                return [*retries, self._retry(action, verdict.why_not)]
            if final:
                break
            done = push(block, train.particles), verdict.moved
            histories = [
                dataclasses.replace(past, stages=(*past.stages, particles))
                for past, particles in zip(histories, done, strict=True)
            ]
        assert block is not None
        return Accepted(block, self.step_size, train, valid, verdict, report, tuple(retries), plan)

    def _history(self, trace: Trace, plan: Mapping[str, float]) -> History:
        return trace.history(self.state.step, self.step_size, self.state.step_size, plan)

    def _retry(self, action: Action, reason: str) -> Retry:
        return Retry(self.number + 1, action, reason, self.step_size, self.step_size)
