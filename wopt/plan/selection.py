"""Between plans: brief trials, where a budget leaves time for them."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import torch

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.particles import Particles
from wopt.plan.planner import Plan
from wopt.plan.speed import Speed, down_to_grid, first_of, measure, timed
from wopt.seeds import generator
from wopt.train.problem import Problem
from wopt.train.stage import Stage

__all__ = ["Trial", "choose", "holdout", "tried"]

_FEW = 2000
"""Number of rows below which a tenth of them is too few to tell plans apart."""

_APART = 0.3
"""Fraction of few rows that trials hold out instead."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """The result of a trial.

    Attributes:
        held_out: The least value of the subproblem on held-out rows, at any check.
        at: The iteration of that check.
        iterations: Number of iterations at most, with which the learning rate's schedule ends.
        seconds: CPU seconds of the trial.
    """

    held_out: float
    at: int
    iterations: int
    seconds: float

    @property
    def turned(self) -> bool:
        """Whether the held-out value was least long before the schedule's end."""
        return self.at < 0.7 * self.iterations


@dataclasses.dataclass(frozen=True)
class _Watched(Stage):
    """A stage that records the values of its checks."""

    seen: list[float] = dataclasses.field(default_factory=list)

    @torch.no_grad()
    def held_out(self, block: FlowBlock) -> float:
        value = super().held_out(block)
        self.seen.append(value)
        return value


def tried(problem: Problem, train: Particles, valid: Particles) -> Trial:
    """Return what the first step of a problem reaches, without using up the run's random numbers.

    The draws are those of the run, so a run with the same options reaches the same value.

    Args:
        problem: A problem with the iterations that the trial may take.
        train: The particles at the start.
        valid: The held-out particles.
    """
    began = time.process_time()
    stage = _Watched(problem, 0, 0, 0, first_of(problem, train), first_of(problem, valid))
    stage.train(None)
    values = [value if math.isfinite(value) else math.inf for value in stage.seen]
    best = min(range(len(values)), key=values.__getitem__) if values else 0
    solver = problem.solver
    return Trial(
        held_out=values[best] if values else math.inf,
        at=best * int(getattr(solver, "check_every", 1)),
        iterations=solver.iterations,
        seconds=time.process_time() - began,
    )


def holdout(train: Particles, valid: Particles, seed: int) -> tuple[Particles, Particles]:
    """Return the particles of trials: those of the run or, if they are few, with 30 % held out.

    Args:
        train: The training particles of the run, at the start.
        valid: The held-out particles.
        seed: Seed of the split.

    Example:
        >>> import torch
        >>> few = Particles.start(torch.zeros(80, 2)), Particles.start(torch.zeros(10, 2))
        >>> [len(part) for part in holdout(*few, seed=0)]
        [63, 27]
    """
    if len(train) + len(valid) >= _FEW:
        return train, valid
    points = torch.cat([train.points, valid.points])
    pool = dataclasses.replace(Particles.start(points), condition=train.condition)
    order = torch.randperm(len(pool), generator=generator(seed, "plan", "apart")).to(points.device)
    few = round(_APART * len(pool))
    return pool.rows(order[few:]), pool.rows(order[:few])


Ready = Callable[[Plan], tuple[Problem, Particles, Particles]]
"""Function from a plan to its problem, training particles and held-out particles."""

_SHARE = 0.1
"""Fraction of the budget that one trial may take."""

_LENGTHS = (1.5, 0.75)
"""Lengths of shorter schedules, as multiples of the iteration at which held-out values turned."""

_LEAST = 40
"""Least number of iterations of a schedule: fewer are mostly warm-up."""

_TELLING = 150
"""Least number of iterations of a trial: fewer do not tell plans apart."""

_MOST = 0.4
"""Fraction of the budget after which no other plan is tried."""

_ENDS = 0.9
"""Fraction of a budget that is planned."""

_TELLS = 0.03
"""Nats by which another plan has to be better than that of the rules: smaller differences in brief
trials do not predict the better plan (docs/benchmarks.md)."""


@dataclasses.dataclass(frozen=True)
class _Tried:
    """A plan, the measured speed of its iterations, and the result of a brief trial."""

    plan: Plan
    speed: Speed
    trial: Trial

    def cost(self, iterations: int) -> float:
        """Return the CPU seconds of a run of so many iterations."""
        return iterations * self.speed.iteration + self.speed.judge + 40 * self.speed.check

    def affordable(self, seconds: float) -> int:
        """Return the iterations that fit so many CPU seconds."""
        ends = self.cost(0)
        return down_to_grid(max(_LEAST, (seconds - ends) / max(self.speed.iteration, 1e-6)))


def choose(plans: Sequence[Plan], ready: Ready, listener: Listener = SILENT) -> Plan:
    """Return the best of several plans on held-out rows, with the iterations that suit it.

    Every plan is tried for at most a tenth of the budget; trials end where that is too short, or
    after four tenths of the budget. The plan with the least held-out value is chosen, or that of
    the rules where none is clearly better. Its schedule is then fitted: shorter where held-out
    values turned long before its end, otherwise as long as the rules and the time left allow.
    Where rows are few, trials hold out more of them than the run does, to tell plans apart.

    Args:
        plans: Candidates; the first is that of the rules.
        ready: Function that makes the problem of a plan and its particles.
        listener: Listener that is called before each trial.
    """
    budget = plans[0].facts.budget
    first = measure(*ready(plans[0]))
    rounds, spent = list[_Tried](), 0.0
    for number, plan in enumerate(plans):
        listener.work("trying plans", number, len(plans))
        speed = measure(*ready(plan)) if plan is not plans[0] else first
        spent += speed.spent
        one = _brief(plan, speed, ready)
        if one is not None:
            rounds.append(one)
            spent += one.trial.seconds
        if not rounds or spent > _MOST * budget:
            break
    if not rounds:
        return timed(plans[0], first)
    best = _best(rounds)
    iterations, seconds = _fitted(best, _ENDS * budget - spent, ready)
    values = ", ".join(f"{one.trial.held_out:.4g}" for one in rounds)
    known = best.trial.held_out == min(one.trial.held_out for one in rounds)
    word = "the best" if known else "none clearly better"
    tested = f"of {len(rounds)} tried briefly {word} on held-out rows ({values})"
    why = [tested] if len(rounds) > 1 else []
    why += [f"{iterations} iterations of {1000 * best.speed.iteration:.3g} ms"]
    plan = of_iterations(best.plan, iterations)
    return dataclasses.replace(
        plan,
        reasons=(*plan.reasons, *why),
        seconds=spent + seconds + best.cost(iterations),
    )


def _best(rounds: Sequence[_Tried]) -> _Tried:
    """Return the trial with the least value, or the first one if none is clearly better."""
    least = min(rounds, key=lambda one: one.trial.held_out)
    ahead = rounds[0].trial.held_out - least.trial.held_out
    return rounds[0] if ahead < _TELLS else least


def _brief(plan: Plan, speed: Speed, ready: Ready) -> _Tried | None:
    """Return a plan with the result of a trial, or ``None`` if its part of the budget is short."""
    whole = iterations_of(timed(plan, speed))
    fits = down_to_grid(max(1.0, _SHARE * plan.facts.budget / max(speed.iteration, 1e-6)))
    if fits < _TELLING:
        return None
    plan = of_iterations(plan, whole)
    return _Tried(plan, speed, _trial(of_iterations(plan, min(whole, fits)), ready))


def _fitted(best: _Tried, left: float, ready: Ready) -> tuple[int, float]:
    """Return the iterations that suit the best plan, and the CPU seconds it took to find them."""
    trial, spent = best.trial, 0.0
    if trial.at == 0 or not trial.turned:
        wanted = max(iterations_of(best.plan), 2 * trial.iterations)
        return min(wanted, best.affordable(left)), spent
    for length in _LENGTHS:
        iterations = down_to_grid(max(_LEAST, length * trial.at))
        if iterations >= trial.iterations or spent + 2 * best.cost(iterations) > left:
            break
        shorter = _trial(of_iterations(best.plan, iterations), ready)
        spent += shorter.seconds
        if shorter.held_out >= trial.held_out:
            break
        trial = shorter
    return min(trial.iterations, best.affordable(left - spent)), spent


def _trial(plan: Plan, ready: Ready) -> Trial:
    problem, train, valid = ready(plan)
    return tried(problem, *holdout(train, valid, plan.facts.seed))


def iterations_of(plan: Plan) -> int:
    """Return the number of iterations of a plan."""
    return int(plan.table["solver"]["iterations"])


def of_iterations(plan: Plan, iterations: int) -> Plan:
    """Return a plan with another number of iterations, with a check at every fortieth.

    Example:
        >>> from wopt.plan import Facts, plan
        >>> first = plan(Facts(rows=300, held_out=30, columns=5))
        >>> of_iterations(first, 400).table["solver"]["check_every"]
        10
    """
    given = {"iterations": iterations, "check_every": max(5, iterations // 40)}
    solver = {**plan.table.get("solver", {}), **given}
    return dataclasses.replace(plan, table={**plan.table, "solver": solver})
