"""Attempts at a step: a block trained and judged, and the state or the end that follows."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.errors import Converged, DivergenceError, WoptError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.interfaces.solver import SolveReport
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import push
from wopt.runtime import Runtime
from wopt.seeds import generator
from wopt.statistics import Mean
from wopt.train.guard import Verdict
from wopt.train.measure import record_of
from wopt.train.problem import ParticleHistory, Problem, State
from wopt.train.record import Action, Retry
from wopt.train.solvers import Adam
from wopt.train.stage import Stage
from wopt.train.stop import elapsed
from wopt.train.wrappers import spread

_NOISE = 4.0
"""Standard errors up to which a rise on held-out particles counts as noise."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A block trained for a step, and what the guard says of it.

    Attributes:
        number: How often the step was tried before.
        step_size: h of the step.
        plan: Numbers that the scheme planned for the step, by name.
        objective: The objective at the draw of the step.
        train, valid: The subproblem that the map solves, at the training and at the held-out
            particles.
        block: The trained map T.
        report: Report of the inner solver.
        coarse: The reason of each refinement of the block's grid.
        runtime: What computed it.
        verdict: Measurements of the guard; ``None`` if the loss became infinite.
        schedules: Iterations in each part of all schedules of the step by the clock.
        chains: Chains of the target after training towards them, shape ``(m, d)``, or ``None``.
    """

    number: int
    step_size: float
    plan: Mapping[str, float]
    objective: Objective
    train: Subproblem
    valid: Subproblem
    block: FlowBlock
    report: SolveReport
    coarse: tuple[str, ...]
    runtime: Runtime
    schedules: tuple[tuple[int, ...], ...] = ()
    verdict: Verdict | None = None
    chains: Tensor | None = None

    @property
    def accepted(self) -> bool:
        """Whether the step may stand."""
        return self.verdict is not None and self.verdict.accepted

    @property
    def why_not(self) -> str:
        """The reasons of a rejection, in words."""
        if self.verdict is None:
            return f"the loss became {self.report.loss}"
        return self.verdict.why_not

    @property
    def rise(self) -> Mean | None:
        """The rise of the held-out subproblem, where that is the reason of a rejection."""
        verdict = self.verdict
        if verdict is None or verdict.lacks_decrease is None or verdict.inversion_error is None:
            return None
        return verdict.decrease

    @property
    def within_noise(self) -> bool:
        """Whether the rise is a few standard errors at most, or its error is not known."""
        return self.rise is not None and not self.rise.value > _NOISE * self.rise.error

    @functools.cached_property
    def overfits(self) -> bool:
        """Whether the map lowers the subproblem on the training particles alone.

        Then training worked and does not generalise. Where the energy alone rises, the step was
        too large instead.
        """
        return (
            self.rise is not None
            and self.rise.value > 0
            and _lowers(self.train, self.block, self.runtime)
        )

    def retries(self, then: float) -> tuple[Retry, ...]:
        """Return what was changed, and, after a rejection, that it is tried again with h then."""
        h, number = self.step_size, self.number + 1
        finer = [Retry(number, "grid made finer", reason, h, h) for reason in self.coarse]
        if self.accepted:
            return tuple(finer)
        action: Action = "trained again, finer and at half the rate"
        if self.verdict is None:
            action = "trained again at half the rate"
        return (*finer, Retry(number, action, self.why_not, h, then))


def attempt(
    problem: Problem,
    state: State,
    h: float,
    number: int,
    schedules: Sequence[tuple[int, ...]] = (),
) -> Attempt:
    """Train a block for the next step of size h, stage by stage, and judge it."""
    scheme, step = problem.scheme, state.step
    drawn = problem.objective.at(next(problem.draws(f"step {step + 1}")))
    objective = drawn.of_step(step)
    past = state.histories(h, state.plan, problem.log_density)[0]
    plan = problem.runtime.team.agreed(scheme.plan(past, objective))
    pasts = state.histories(h, plan, problem.log_density)
    previous, coarse = state.block, list[str]()
    by_clock = list(schedules)
    chains = problem.chains(step) if scheme.stages == 1 else None
    forward = None if chains is None else chains.forward_of(problem, state, number)
    fresh = _fresh(problem, state, h, plan, number, drawn)
    for k in range(scheme.stages):
        train, valid = (scheme.subproblem(past, objective) for past in pasts)
        judged = valid.drawn(problem.held_out)
        parts = train, judged, problem.listener, fresh, forward, by_clock
        stage = Stage(problem, step, k, number, *parts)
        block, report = stage.train(previous)
        made = Attempt(
            number, h, plan, drawn, train, valid, block, report, (*coarse,), problem.runtime,
            (*by_clock,), chains=state.chains if forward is None else forward.points,
        )  # fmt: skip
        if report.diverged:
            break
        verdict, finer = stage.judge(block, final=k == scheme.stages - 1)
        coarse += finer
        made = dataclasses.replace(made, coarse=(*coarse,), verdict=verdict)
        if not verdict.accepted or k == scheme.stages - 1:
            break
        done = push(block, train.particles, runtime=problem.runtime), verdict.moved
        pasts = [
            dataclasses.replace(past, stages=(*past.stages, particles))
            for past, particles in zip(pasts, done, strict=True)
        ]
        previous = block
    return made


@torch.no_grad()
def _lowers(subproblem: Subproblem, block: FlowBlock, runtime: Runtime) -> bool:
    """Whether a map lowers a subproblem at its own particles."""
    # If particles are held by several processes, the first evaluates its own.
    at, by = subproblem.particles.own, runtime
    if at is not subproblem.particles:
        subproblem, by = dataclasses.replace(subproblem, particles=at), runtime.alone
    moved = push(block, at, audit=True, runtime=by)
    return runtime.team.agreed(subproblem.change(spread(block, by.team), moved).value) < 0


def _fresh(
    problem: Problem,
    state: State,
    h: float,
    plan: Mapping[str, float],
    number: int,
    drawn: Objective,
) -> Callable[[int | None], Subproblem] | None:
    """Return a function from a key to its draw of the subproblem at new training particles."""
    solver, scheme, draw = problem.solver.of_step(state.step), problem.scheme, problem.draw
    if not solver.fresh or scheme.stages > 1 or draw is None:
        return None
    rng = generator(problem.seed, "fresh", state.step + 1, number)
    about, runtime = (state.step, h, state.step_size, plan), problem.runtime

    @torch.no_grad()
    def subproblem(key: int | None) -> Subproblem:
        objective = drawn if key is None else drawn.at(key)
        start = draw(solver.batch_size, rng)
        if scheme.replaces:
            at = ParticleHistory(start, ahead=state.block, runtime=runtime)
            past = at.history(*about, start, problem.log_density)
            return scheme.subproblem(past, objective.of_step(state.step))
        trace = _carried(problem, state, start, objective)
        return scheme.subproblem(trace.history(*about), objective.of_step(state.step))

    return subproblem


def _carried(problem: Problem, state: State, start: Particles, drawn: Objective) -> ParticleHistory:
    """Return particles of the start where the steps so far carry them."""
    trace, previous = ParticleHistory(start, runtime=problem.runtime), None
    for block, record in zip(state.blocks, state.records, strict=True):
        past = trace.history(record.step - 1, record.step_size, previous, record.plan)
        sub = problem.scheme.subproblem(past, drawn.of_step(record.step - 1))
        trace = trace.after(
            problem.scheme, drawn, sub, push(block, sub.particles, runtime=problem.runtime)
        )
        previous = record.step_size
    return trace


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
    if problem.guard.keep:
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
