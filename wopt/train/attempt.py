"""Making one step: solve its subproblems, judge them, try again where that may help."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from wopt.component import Spec
from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.scheme import History, Subproblem, first_order
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import derive, generator, seeded
from wopt.stein.residual import affine_residual
from wopt.train.guard import Verdict
from wopt.train.problem import Problem, Progress, State, Trace
from wopt.train.solver import InnerReport

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
    attempts: tuple[str, ...]
    plan: Mapping[str, float]


def make_step(problem: Problem, state: State, progress: Progress | None) -> Accepted:
    """Return the next step.

    Raises:
        DivergenceError: Every retry was rejected.
    """
    rule = problem.scheme.step_size
    h = rule(state.step, state.step_size)
    attempts: list[str] = []
    for attempt in range(problem.guard.retries + 1):
        found = _try(problem, state, h, attempt, attempts, progress)
        if found is not None:
            return found
        smaller = rule.after_rejection(h)
        if smaller is not None:
            attempts[-1] += f"; h reduced from {h:g} to {smaller:g}"
            h = smaller
    raise DivergenceError(
        f"step {state.step + 1} was rejected {problem.guard.retries + 1} time(s), the last time "
        f"because {attempts[-1].partition(': ')[2]}; the {state.step} step(s) before it stand. Try "
        "a smaller solver.learning_rate or step size, more solver.iterations, or smoother maps "
        "(for block ode: more steps, less sharpness)"
    )


def _try(
    problem: Problem,
    state: State,
    h: float,
    attempt: int,
    attempts: list[str],
    progress: Progress | None,
) -> Accepted | None:
    """Solve all stages of a step once; ``None``, with a note of why, if one is rejected."""
    scheme = problem.scheme
    problem.redraw(f"step {state.step + 1}", state.train.particles)
    history = _history(state.train, state, h, state.plan)
    plan = scheme.plan(history, problem.objective)
    done: list[tuple[Particles, Particles]] = []
    block = state.block
    for stage in range(scheme.stages):
        final = stage == scheme.stages - 1
        sub, held = (
            scheme.subproblem(
                dataclasses.replace(
                    _history(trace, state, h, plan), stages=tuple(pair[k] for pair in done)
                ),
                problem.objective,
            )
            for k, trace in enumerate((state.train, state.valid))
        )
        train = sub.start or state.train.particles
        valid = held.start or state.valid.particles
        solve = _Stage(problem, state.step, stage, attempt, sub, held, train, valid, progress)
        block, report = solve.train(block)
        if report.diverged:
            attempts.append(f"trained again at half the rate: the loss became {report.loss}")
            return None
        verdict = solve.judge(block, final, attempts)
        if not verdict.accepted:
            attempts.append(f"trained again, finer and at half the rate: {verdict.why_not}")
            return None
        done.append((push(block, train) if not final else train, verdict.moved))
    assert block is not None
    return Accepted(block, h, sub, held, verdict, report, tuple(attempts), plan)


@dataclasses.dataclass(frozen=True)
class _Stage:
    """One subproblem at the particles of both splits."""

    problem: Problem
    step: int
    stage: int
    attempt: int
    sub: Subproblem
    held: Subproblem
    particles: Particles
    valid: Particles
    progress: Progress | None

    def train(self, previous: FlowBlock | None) -> tuple[FlowBlock, InnerReport]:
        """Return a block trained from that of the stage or step before, or from the identity."""
        problem = self.problem
        place = ("step", self.step + 1, self.attempt, self.stage)
        with seeded(derive(problem.seed, *place)):
            block = _new_block(problem.block, self.particles)
            block.see(self.particles.points)
            if previous is not None and problem.solver.warm_start:
                block.warm_start(previous)
            for _ in range(self.attempt):
                block.refine()
            draws = generator(
                problem.seed, "objective", *place, device=self.particles.points.device
            )
            report = problem.solver.minimise(
                block,
                self._loss,
                len(self.particles),
                rate=0.5**self.attempt,
                before_each=lambda: problem.objective.resample(draws),
                held_out=self._held_out,
                accuracy=self._accuracy,
                progress=self._tell if self.progress else None,
            )
        block.freeze()
        return block, report

    def judge(self, block: FlowBlock, final: bool, attempts: list[str]) -> Verdict:
        """Return the guard's verdict, after making the grid finer if that is all it lacks."""
        problem, guard = self.problem, self.problem.guard
        problem.redraw("held_out", self.valid)
        if self.progress:
            self.progress(self.step + 1, "checking", 0, 1, float("nan"))
        for refinement in range(guard.refinements + 1):
            verdict = guard.judge(
                problem.scheme, self.held, problem.objective, block, self.valid, final=final
            )
            only_coarse = not verdict.lacks_decrease and verdict.lacks_accuracy
            if not only_coarse or refinement == guard.refinements or not block.refine():
                break
            attempts.append(f"grid made finer: {verdict.lacks_accuracy}")
        return verdict

    def _loss(self, block: FlowBlock, rows: Tensor | None) -> Tensor:
        scheme, sub = self.problem.scheme, self.sub
        if rows is None:
            return scheme.loss(sub, block, self.particles, sub.anchor)
        return scheme.loss(sub, block, self.particles.rows(rows), sub.anchor[rows])

    @torch.no_grad()
    def _held_out(self, block: FlowBlock) -> float:
        block.eval()
        value = self.problem.scheme.loss(self.held, block, self.valid, self.held.anchor)
        block.train()
        return float(value)

    @torch.no_grad()
    def _accuracy(self, block: FlowBlock) -> tuple[float | None, float]:
        """Return the held-out first-order error and the movement per h'."""
        held = self.held
        y, anchor = first_order(self.problem.scheme, held, block, self.valid)
        speed = self.valid.mean((y.points - anchor).square().sum(1)).sqrt() / held.step_size
        if held.implicit is None:
            return None, float(speed)
        return affine_residual(held.implicit, y, anchor, held.step_size), float(speed)

    def _tell(self, done: int, total: int, loss: float) -> None:
        assert self.progress is not None
        self.progress(self.step + 1, "training", done, total, loss)


def _new_block(block: Spec | FlowBlock, like: Particles) -> FlowBlock:
    """Return a new block for particles of this dimension, dtype and device."""
    if isinstance(block, Spec):
        return new_block(block, like.dim, like.condition).to(like.points)
    return copy.deepcopy(block).to(like.points)


def _history(trace: Trace, state: State, h: float, plan: Mapping[str, float]) -> History:
    return History(
        trace.particles, trace.previous, trace.gradient, state.step, h, state.step_size, plan
    )
