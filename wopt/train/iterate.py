"""The outer loop: one proximal step after another, each guarded."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.certify.residual import affine_residual
from wopt.component import Spec
from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import History, ProximalScheme, Subproblem
from wopt.particles import Particles
from wopt.train.guard import Guard, Verdict, nll
from wopt.train.push import push
from wopt.train.record import StepRecord
from wopt.train.seeds import derive, generator, seeded
from wopt.train.solver import InnerReport, InnerSolver
from wopt.train.stop import Stop

__all__ = ["Problem", "Progress", "State", "Trace", "iterate", "new_block"]

Progress = Callable[[int, str, int, int, float], None]
"""Called with: step, what is done, how much of it, of how much, the loss."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """The particles of one split with the short history that schemes look back on."""

    particles: Particles
    previous: Tensor | None = None
    gradient: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class State:
    """All that the next step needs, and all that a checkpoint holds.

    Attributes:
        step: Steps made.
        train: The training particles.
        valid: The held-out particles, moved by audited maps.
        step_size: h of the last step.
        energy: The objective at the held-out particles.
        block: The map of the last step, for warm starts.
        records: The records so far, for the stop rules.
    """

    step: int
    train: Trace
    valid: Trace
    step_size: float | None
    energy: float
    block: FlowBlock | None
    records: tuple[StepRecord, ...] = ()


@dataclasses.dataclass(frozen=True)
class Problem:
    """What to minimise, how to step, with which maps.

    Attributes:
        objective: G.
        scheme: How to step.
        block: A block's choice, or a new block to copy for every step.
        solver: Minimises the subproblem.
        guard: Accepts or rejects a finished step.
        stop: When to stop.
        seed: Of all random draws.
        log_det: log |det| of the preprocessing, which turns likelihoods to the data's units.
    """

    objective: Objective
    scheme: ProximalScheme
    block: Spec | FlowBlock
    solver: InnerSolver = dataclasses.field(default_factory=InnerSolver)
    guard: Guard = dataclasses.field(default_factory=Guard)
    stop: Stop = dataclasses.field(default_factory=Stop)
    seed: int = 0
    log_det: float = 0.0

    def begin(self, train: Particles, valid: Particles | None = None) -> State:
        """Return the state before the first step; without ``valid``, ``train`` serves as both."""
        held = train if valid is None else valid
        with torch.no_grad():
            energy = float(self.objective.energy(held))
        return State(0, Trace(train), Trace(held), None, energy, None)


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
    h = problem.scheme.step_size(state.step, state.step_size)
    sub, held = (
        problem.scheme.subproblem(_history(trace, state, h), problem.objective)
        for trace in (state.train, state.valid)
    )
    block, verdict, report, attempts = _solve(problem, state, sub, held, progress)
    train = push(block, state.train.particles)
    record = StepRecord(
        step=state.step + 1,
        step_size=h,
        energy=verdict.energy,
        energy_change=verdict.energy - state.energy,
        w2_step=_movement(state.valid.particles, verdict.moved),
        decrease=verdict.decrease,
        decrease_error=verdict.decrease_error,
        residual=affine_residual(held.implicit, verdict.moved, held.anchor, held.step_size),
        nll_valid=_mean_nll(problem, verdict.moved),
        likelihood_error=verdict.likelihood_error,
        inversion_error=verdict.inversion_error,
        retries=len(attempts),
        attempts=tuple(attempts),
        terms={k: float(v) for k, v in problem.objective.terms(verdict.moved).items()},
        loss=report.loss,
        iterations=report.iterations,
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
    )
    reason = problem.stop.reason([*state.records, record])
    records = (*state.records, dataclasses.replace(record, stop=reason))
    return State(
        state.step + 1,
        _after(state.train, sub, train),
        _after(state.valid, held, verdict.moved),
        h,
        verdict.energy,
        block,
        records,
    )


def _after(before: Trace, subproblem: Subproblem, moved: Particles) -> Trace:
    """Return the moved particles; the Wasserstein gradient at them is the step's residual."""
    gradient = (subproblem.anchor - moved.points) / subproblem.step_size
    return Trace(moved, before.particles.points, gradient)


def _solve(
    problem: Problem,
    state: State,
    sub: Subproblem,
    held: Subproblem,
    progress: Progress | None,
) -> tuple[FlowBlock, Verdict, InnerReport, list[str]]:
    """Train a block until the guard accepts it."""
    step = state.step + 1
    guard, attempts = problem.guard, list[str]()
    for attempt in range(guard.retries + 1):
        with seeded(derive(problem.seed, "step", step, attempt)):
            block = new_block(problem.block, state.train.particles)
            if state.block is not None and problem.solver.warm_start:
                block.warm_start(state.block, sub.step_size)
            for _ in range(attempt):
                block.refine()
            report = _train(problem, state, sub, held, block, attempt, progress)
        if report.diverged:
            attempts.append(f"trained again at half the rate: the loss became {report.loss}")
            continue
        block.freeze()
        if progress:
            progress(step, "checking", 0, 1, report.loss)
        verdict = guard.judge(problem.scheme, held, problem.objective, block, state.valid.particles)
        for _ in range(guard.refinements):
            if verdict.lacks_decrease or not verdict.lacks_accuracy or not block.refine():
                break
            attempts.append(f"grid made finer: {verdict.lacks_accuracy}")
            verdict = guard.judge(
                problem.scheme, held, problem.objective, block, state.valid.particles
            )
        if verdict.accepted:
            return block, verdict, report, attempts
        why = "; ".join(w for w in (verdict.lacks_decrease, verdict.lacks_accuracy) if w)
        attempts.append(f"trained again, finer and at half the rate: {why}")
    last = attempts[-1].partition(": ")[2]
    raise DivergenceError(
        f"step {step} was rejected {guard.retries + 1} time(s), the last time because {last}; the "
        f"{state.step} step(s) before it stand. Try a smaller solver.learning_rate, more "
        "solver.iterations, or smoother maps (for block ode: more steps, less sharpness)"
    )


def _train(
    problem: Problem,
    state: State,
    sub: Subproblem,
    held: Subproblem,
    block: FlowBlock,
    attempt: int,
    progress: Progress | None,
) -> InnerReport:
    particles, valid = state.train.particles, state.valid.particles
    draws = generator(
        problem.seed, "objective", state.step, attempt, device=particles.points.device
    )

    def loss(block: FlowBlock, rows: Tensor | None) -> Tensor:
        if rows is None:
            return problem.scheme.loss(sub, block, particles, sub.anchor)
        return problem.scheme.loss(sub, block, particles.rows(rows), sub.anchor[rows])

    @torch.no_grad()
    def held_out(block: FlowBlock) -> float:
        was = block.training
        block.eval()
        value = float(problem.scheme.loss(held, block, valid, held.anchor))
        block.train(was)
        return value

    return problem.solver.minimise(
        block,
        loss,
        len(particles),
        rate=0.5**attempt,
        before_each=lambda: problem.objective.resample(draws),
        held_out=held_out,
        progress=progress
        and (lambda done, total, value: progress(state.step + 1, "training", done, total, value)),
    )


def new_block(block: Spec | FlowBlock, like: Particles) -> FlowBlock:
    """Return a new block for particles of this dimension, dtype and device."""
    made: FlowBlock = block.build(dim=like.dim) if isinstance(block, Spec) else copy.deepcopy(block)
    return made.to(like.points)


def _history(trace: Trace, state: State, h: float) -> History:
    return History(trace.particles, trace.previous, trace.gradient, state.step, h, state.step_size)


def _movement(before: Particles, after: Particles) -> float:
    return float(before.mean((after.points - before.points).square().sum(1)).sqrt())


def _mean_nll(problem: Problem, particles: Particles) -> float | None:
    target = problem.objective.target
    values = nll(problem.objective, particles)
    if values is None or target is None or Need.NORMALISED not in target.provides:
        return None
    return float(particles.mean(values)) - problem.log_det
