"""How long a sampler is trained: measured on this machine, in rounds that double."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from wopt.particles import Particles
from wopt.plan.plan import Plan
from wopt.plan.speed import Clock, first_of, on_grid
from wopt.train.problem import Problem
from wopt.train.solver import InnerSolver
from wopt.train.stage import Stage

__all__ = ["Cost", "cost_of", "fixed", "in_rounds"]

_ENDS = 0.9
"""Share of a budget that is planned with: the rest pays for guard and weights."""

_SHARE = 1 / 3
"""Of a budget, for the Gaussian at most."""

_EVALUATIONS = 250
"""That a Gaussian takes as a rule: 70 to 110 on eight schools, arK and kidscore_momiq."""

_LEAST, _MOST = 300, 8000
"""Iterations of the first round at least, and of all rounds at most."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """CPU seconds on this machine.

    Attributes:
        evaluation: Of the loss of an affine map with its gradient.
        iteration: Of the second step's training.
        spent: By the measurement.
    """

    evaluation: float
    iteration: float
    spent: float


def cost_of(problem: Problem, train: Particles, valid: Particles) -> Cost:
    """Measure the Gaussian of the first step and the map of the second, briefly.

    Args:
        problem: Made from a plan that is not timed yet.
        train: The particles at the start.
        valid: The held-out ones.
    """
    began = time.process_time()
    stage = Stage(problem, 0, 0, 0, first_of(problem, train), first_of(problem, valid))
    evaluation = 0.0
    for _ in range(2):  # the first pays for what is done once
        now = time.process_time()
        _, report = _brief(stage, 0, 2).train(None)
        evaluation = (time.process_time() - now) / max(1, report.iterations)
    clock = Clock()
    dataclasses.replace(_brief(stage, 1, Clock.iterations), listener=clock).train(None)
    # Drawing anew and carrying by the first map is a tenth of an iteration.
    return Cost(evaluation, 1.1 * clock.lap, time.process_time() - began)


def _brief(stage: Stage, step: int, iterations: int) -> Stage:
    """Return the stage of a step, of few iterations, at the same particles."""
    options = {"iterations": iterations, "weights": None, "patience": None}
    solver = InnerSolver(**{**stage.problem.solver.of_step(step).options, **options})
    problem = dataclasses.replace(stage.problem, solver=solver)
    return dataclasses.replace(stage, problem=problem, step=step)


def in_rounds(chosen: Plan, cost: Cost) -> Plan:
    """Return the plan with the iterations that its budget allows, in rounds that double.

    A round that leaves weights uneven is followed by one of twice the length, from where it ended;
    n iterations are k rounds of n/(2^k - 1), twice that, ..., the first of 300 or more. Numbers
    are rounded down to a grid, as those of data are.

    Args:
        chosen: The plan.
        cost: Measured.

    Example:
        >>> from wopt.plan import Facts, plan_of_posterior
        >>> facts = Facts(rows=500, held_out=4000, columns=10, kind="posterior")
        >>> chosen = plan_of_posterior(facts)
        >>> solver = in_rounds(chosen, Cost(0.01, 0.02, 0.3)).table["solver"]
        >>> solver["iterations"], solver["rounds"], solver["by_step"][0]["iterations"]
        (320, 3, 500)
    """
    budget = _ENDS * chosen.facts.budget - cost.spent
    most = on_grid(max(50.0, min(500.0, _SHARE * budget / (2.5 * max(cost.evaluation, 1e-6)))))
    gaussian = min(_SHARE * budget, _EVALUATIONS * cost.evaluation)
    total = min(float(_MOST), (budget - gaussian) / max(cost.iteration, 1e-6))
    rounds = max([k for k in range(1, 6) if total / (2**k - 1) >= _LEAST], default=1)
    iterations = on_grid(max(1.0, total / (2**rounds - 1)))
    solver = {
        **chosen.table["solver"],
        "iterations": iterations,
        "rounds": rounds,
        "by_step": [{"optimiser": "gaussian", "iterations": most}, {}],
    }
    why = f"{iterations} iterations of {1000 * cost.iteration:.3g} ms"
    if rounds > 1:
        why += f", if need be {rounds} times, each time twice as many"
    seconds = gaussian + (2**rounds - 1) * iterations * cost.iteration + cost.spent
    return _with(chosen, solver, why, seconds)


def fixed(chosen: Plan, iterations: int) -> Plan:
    """Return the plan with one round of iterations that were given.

    Args:
        chosen: The plan.
        iterations: Of the map after the Gaussian.
    """
    drop = ("weights", "rounds", "grow", "check_every", "iterations")
    solver = {k: v for k, v in chosen.table["solver"].items() if k not in drop}
    solver["by_step"] = [{"optimiser": "gaussian", "iterations": 500}, {}]
    return _with(chosen, solver, f"{iterations} iterations, as given", chosen.seconds)


def _with(chosen: Plan, solver: dict[str, Any], why: str, seconds: float) -> Plan:
    return dataclasses.replace(
        chosen,
        table={**chosen.table, "solver": solver},
        reasons=(*chosen.reasons, why),
        seconds=seconds,
    )
