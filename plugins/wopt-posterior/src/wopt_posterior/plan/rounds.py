"""How long a sampler is trained: by modes and this machine's speed, in rounds that double."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import time
from typing import Any

from torch import Tensor

from wopt.interfaces import Listener, Target
from wopt.particles import Particles
from wopt.plan import Plan
from wopt.seeds import generator
from wopt.train import Problem, Stage, first_of
from wopt_posterior.chains import Forward, annealed_chains, density_of, mode_separation
from wopt_posterior.chains.reference_chains import JUMP
from wopt_posterior.solvers import Chains

__all__ = [
    "ANNEALING",
    "POINTS",
    "Cost",
    "IterationTimer",
    "cost_of",
    "density_seconds",
    "fixed",
    "in_rounds",
    "modes_apart",
    "speed_class",
]

ANNEALING, POINTS = 1000, 500
"""Density evaluations with gradient per chain for annealing and rounds, a typical number; points
of a timed evaluation."""

_FEW_FOR_MODES = 4
"""Number of timed evaluations."""

_CHAINS_FOR_MODES, _SHARE_FOR_MODES = (200, 100), 0.1
"""Numbers of chains that look for modes, and the fraction of a budget that they take at most; see
docs/posteriors.md."""

_COLUMNS = 24
"""Number of columns beyond which modes are not looked for: a thousand chains are then too few to
train a map on alone."""


def speed_class(seconds: float) -> float:
    """Return the power of the root of two (in seconds) that is nearest to a time.

    A plan made of classes is the same for the same seed, budget and class of machine.

    Example:
        >>> speed_class(0.25), round(speed_class(0.0181), 4), round(speed_class(0.0215), 4)
        (0.25, 0.0156, 0.0221)
    """
    return 2.0 ** (round(2 * math.log2(max(seconds, 1e-6))) / 2)


class IterationTimer(Listener):
    """A listener that reads the CPU time at every iteration; the first ones are not counted."""

    warm, iterations = 3, 12

    def __init__(self) -> None:
        self.marks: list[float] = []

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Record the CPU time of the iteration."""
        self.marks.append(time.process_time())

    @property
    def laps(self) -> list[float]:
        """CPU seconds of every iteration that is counted."""
        return [b - a for a, b in itertools.pairwise(self.marks[self.warm - 1 :])]

    @property
    def lap(self) -> float:
        """Median CPU seconds of an iteration; 0 where there were too few."""
        return statistics.median(self.laps) if self.laps else 0.0


def density_seconds(target: Target, x: Tensor) -> float:
    """Return the CPU seconds of one evaluation of the density with its gradient at 500 points.

    Args:
        target: A target known by its potential.
        x: Points of the evaluation, shape ``(n, d)``; the first 500 are used.
    """
    density, laps = density_of(target), []
    for _ in range(_FEW_FOR_MODES):
        now = time.process_time()
        density(x[:POINTS])
        laps.append(time.process_time() - now)
    return min(laps) * POINTS / len(x[:POINTS])


def modes_apart(problem: Problem, train: Particles, budget: float) -> float:
    """Return the fraction of chains outside the target's largest mode.

    It is 0 where the budget does not pay for chains, or there are too many columns.

    Args:
        problem: A problem whose target is known by its potential.
        train: The particles at the start.
        budget: CPU seconds of the whole run.
    """
    target = problem.objective.target
    if target is None or problem.log_density is None or train.dim > _COLUMNS:
        return 0.0
    a_chain = ANNEALING * speed_class(density_seconds(target, train.points)) / POINTS
    count = next((n for n in _CHAINS_FOR_MODES if n * a_chain <= _SHARE_FOR_MODES * budget), 0)
    if not count:
        return 0.0
    rng = generator(problem.seed, "modes", device=train.points.device)
    return mode_separation(target, annealed_chains(target, train.points, count, rng), rng)


_FEW = 4
"""Number of timed iterations with chains, which take longer."""

_ENDS = 0.9
"""Fraction of a budget that is planned: the rest pays for timing, guard and weights."""

_SHARE = 1 / 3
"""Fraction of a budget for the Gaussian at most."""

_EVALUATIONS = 250
"""Number of loss evaluations that a Gaussian takes, a cautious estimate."""

_LEAST, _MOST = 300, 8000
"""Number of iterations of the first round at least, and of all rounds at most."""

_CHAINS, _OF_CHAINS = (1000, 500, 250), 0.1
"""Numbers of chains, and the fraction of a budget that they take at most."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """CPU seconds on this machine, each rounded to its class (:func:`speed_class`).

    Attributes:
        evaluation: One evaluation of the loss of an affine map with its gradient.
        iteration: One training iteration of the second step, by chains alone if it uses no draws.
        with_chains: One iteration that also trains towards chains.
        density: One evaluation of the target's density with its gradient at 500 points.
    """

    evaluation: float
    iteration: float
    with_chains: float
    density: float


def cost_of(problem: Problem, train: Particles, valid: Particles) -> Cost:
    """Measure the Gaussian of the first step and the map of the second, briefly.

    Args:
        problem: A problem made from a plan that is not timed yet.
        train: The particles at the start.
        valid: The held-out particles.
    """
    stage = Stage(problem, 0, 0, 0, first_of(problem, train), first_of(problem, valid))
    evaluation = 0.0
    for _ in range(2):  # the first pass pays for what is done once
        now = time.process_time()
        _, report = _brief(stage, 0, 2).train(None)
        evaluation = (time.process_time() - now) / max(1, report.iterations)
    target, density = problem.objective.target, 0.0
    if target is None or problem.log_density is None:
        iteration = both = _lap(_brief(stage, 1, IterationTimer.iterations))
    else:
        density = density_seconds(target, train.points)
        forward = Forward(
            target, problem.log_density, train.points, generator(problem.seed, "timing"),
            needed=True, alone=_towards(problem),
        )  # fmt: skip
        iteration, both = _with_chains(stage, forward)
    # A fresh draw, carried by the first map, costs about a tenth of an iteration.
    times = evaluation, 1.1 * iteration, both + 0.1 * iteration, density
    return Cost(*(speed_class(seconds) for seconds in times))


def _towards(problem: Problem) -> bool:
    """Whether the second step is trained towards chains alone."""
    solver = problem.solver.of_step(1)
    return isinstance(solver, Chains) and solver.direction == "forward"


def _with_chains(stage: Stage, forward: Forward) -> tuple[float, float]:
    """Return the CPU seconds of an iteration without and with chains: equal if chains are all."""
    brief = _brief(stage, 1, IterationTimer.warm + _FEW)
    both = _lap(dataclasses.replace(brief, forward=forward))
    if not forward.alone:
        return _lap(_brief(stage, 1, IterationTimer.iterations)), both
    calm = _lap(dataclasses.replace(brief, forward=dataclasses.replace(forward, jump=2**62)))
    both = calm + max(0.0, both - calm) / JUMP
    return both, both


def _lap(stage: Stage) -> float:
    """Return the lower quartile of an iteration's CPU seconds, which disturbances leave alone."""
    clock = IterationTimer()
    dataclasses.replace(stage, listener=clock).train(None)
    laps = sorted(clock.laps)
    return laps[len(laps) // 4] if laps else 0.0


def _brief(stage: Stage, step: int, iterations: int) -> Stage:
    """Return the stage of a step, with few iterations, at the same particles."""
    options = {"iterations": iterations, "weights": None, "patience": None, "chains": 0}
    solver = stage.problem.solver.of_step(step).varied(**options)
    problem = dataclasses.replace(stage.problem, solver=solver)
    return dataclasses.replace(stage, problem=problem, step=step)


def in_rounds(chosen: Plan, cost: Cost) -> Plan:
    """Return the plan with the iterations that its budget allows, in rounds that double.

    A round after which weights are uneven, or chains find more than draws, is followed by one of
    twice the length that continues it; n iterations are k rounds of n/(2^k - 1), twice that,
    ..., the first of 300 or more. All numbers are functions of the budget and of speed classes.

    Args:
        chosen: The plan.
        cost: The measured cost.

    Example:
        >>> from wopt_posterior.plan.rules import Posterior, plan_of_posterior
        >>> chosen = plan_of_posterior(Posterior(10))
        >>> solver = in_rounds(chosen, Cost(0.01, 0.02, 0.06, 0.002)).table["solver"]
        >>> solver["iterations"], solver["rounds"], solver["chains"], solver["chains_cost"]
        (340, 3, 1000, 3.0)
    """
    budget = _ENDS * chosen.facts.budget
    most = round(max(50.0, min(500.0, _SHARE * budget / (2.5 * cost.evaluation))))
    a_chain = ANNEALING * cost.density / POINTS
    chains = next((n for n in _CHAINS if n * a_chain <= _OF_CHAINS * budget), 0)
    spent = chains * a_chain + min(_SHARE * budget, _EVALUATIONS * cost.evaluation)
    total = min(float(_MOST), (budget - spent) / cost.iteration)
    rounds = max([k for k in range(1, 6) if total / (2**k - 1) >= _LEAST], default=1)
    iterations = max(1, round(total / (2**rounds - 1), -1 if total > 100 else 0))
    solver = {
        **chosen.table["solver"],
        "iterations": int(iterations),
        "rounds": rounds,
        "chains": chains,
        "chains_cost": round(max(1.0, cost.with_chains / cost.iteration), 2),
        "by_step": [{"name": "gaussian", "iterations": most}, {}],
    }
    if not chains:
        chosen, solver["direction"] = _without_chains(chosen), "reverse"
    why = f"{iterations:.0f} iterations of {1000 * cost.iteration:.3g} ms"
    if rounds > 1:
        why += f", if need be {rounds} times, each time twice as many"
    if chains:
        why += f", and {chains} chains to find what its draws miss"
    return _with(chosen, solver, why)


def _without_chains(chosen: Plan) -> Plan:
    """Return the plan with a map that is quick to draw from, for training on draws alone."""
    blocks = [{k: v for k, v in block.items() if k != "sees"} for block in chosen.table["blocks"]]
    return dataclasses.replace(chosen, table={**chosen.table, "blocks": blocks})


def fixed(chosen: Plan, iterations: int) -> Plan:
    """Return the plan with one round of a given number of iterations.

    Args:
        chosen: The plan.
        iterations: Number of iterations of the map after the Gaussian.
    """
    drop = ("weights", "rounds", "grow", "check_every", "iterations")
    solver = {k: v for k, v in chosen.table["solver"].items() if k not in drop}
    solver["by_step"] = [{"name": "gaussian", "iterations": 500}, {}]
    if "direction" not in solver:
        solver["chains_cost"] = 3.0
    return _with(chosen, solver, f"{iterations} iterations, as given")


def _with(chosen: Plan, solver: dict[str, Any], why: str) -> Plan:
    return dataclasses.replace(
        chosen,
        table={**chosen.table, "solver": solver},
        reasons=(*chosen.reasons, why),
    )
