"""Rounds in which steps are re-spaced to equal arc length and made again from their maps."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from wopt.errors import Converged, DivergenceError
from wopt.interfaces.scheme import StepSize
from wopt.seeds import derive
from wopt.train.options import Refinement
from wopt.train.problem import Problem, State
from wopt.train.record import StepRecord
from wopt.train.solvers import BySteps


def respace(step_sizes: Sequence[float], distances: Sequence[float], steps: int) -> list[float]:
    """Return ``steps`` step sizes of the same total time and of equal arc length.

    With t_k = h_1 + ... + h_k and s_k = w_1 + ... + w_k (w_k the distance that step k moved the
    particles) the curve t(s) is interpolated linearly, and

        h_n = t((n + 1) s_N / N') - t(n s_N / N'),    n = 0, ..., N' - 1.

    Source: the reparameterisation of Xu, Cheng, Xie, *Normalizing flow neural networks by JKO
    scheme*, 2023, whose fixed point, steps that move equally far, is the same.

    Args:
        step_sizes: Step size h of each step made.
        distances: Distance that each step moved the particles.
        steps: Number N' of step sizes to return.

    Example:
        >>> respace([0.75, 1.0], [3.0, 1.0], 2)  # the first step went too far
        [0.5, 1.25]
    """
    time, length = (np.cumsum([0.0, *values]) for values in (step_sizes, distances))
    at = np.interp(np.linspace(0.0, length[-1], steps + 1), length, time)
    # np.interp returns the last of equal abscissae; a pause at the end belongs to the last step.
    at[-1] = time[-1]
    return [float(b - a) for a, b in itertools.pairwise(at)]


class _Listed(StepSize):
    """The step sizes of a round."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __call__(self, step: int, previous: float | None = None) -> float:
        return self.values[step]


def respaced(problem: Problem, state: State) -> State:
    """Return the state after ``refine.respace`` rounds, or after those that were accepted.

    In a round the step sizes become those of equal arc length (:func:`respace`),
    and all steps are made again: each block begins from its previous parameters and is trained on
    the particles after the new steps before it. Each is guarded; a round with a step that is
    rejected for good is dropped, and so are those after it.

    The energy may end higher, as the total time is the same and equal sizes go furthest in it.
    From N(m, 1) to N(0, 1) n exact steps leave the mean m / prod (1 + h_k), the least where all
    h_k are equal (arithmetic and geometric means), while equal lengths need h_k that grow.
    """
    for number in range(problem.refine.respace):
        again = _round(problem, state, number)
        if again is None:
            break
        state = again
    return state


def _round(problem: Problem, state: State, number: int) -> State | None:
    """Return the state after all steps of a round; ``None`` if a step is rejected for good."""
    records = state.records
    moved = [record.w2_step for record in records]
    if state.start is None or not sum(moved) > 0:
        return None
    sizes = respace([record.step_size for record in records], moved, len(records))
    if min(sizes) <= 0:
        return None
    scheme = copy.copy(problem.scheme)
    scheme.step_size = _Listed(sizes)
    again = dataclasses.replace(
        problem,
        scheme=scheme,
        block=[copy.deepcopy(block).requires_grad_() for block in state.blocks],
        solver=_shorter(problem, len(records)),
        seed=derive(problem.seed, "respace", number),
        refine=Refinement(),
    )
    from wopt.train.steps import next_state

    now = again.begin(*state.start)
    try:
        for _ in records:
            now = next_state(again, now)
    except (Converged, DivergenceError):
        return None
    summed = tuple(_sum(new, old) for new, old in zip(now.records, records, strict=True))
    return dataclasses.replace(now, records=summed)


def _shorter(problem: Problem, steps: int) -> BySteps:
    """Return the solver with fewer iterations and without warm starts."""
    own = [problem.solver.of_step(step) for step in range(steps)]
    lengths = [max(1, round(problem.refine.fraction * solver.iterations)) for solver in own]
    return BySteps(
        solvers=[
            solver.varied(iterations=iterations, seconds=None, warm_start=False)
            for solver, iterations in zip(own, lengths, strict=True)
        ]
    )


def _sum(new: StepRecord, old: StepRecord) -> StepRecord:
    """Return the new record with the costs of both trainings."""
    return dataclasses.replace(
        new,
        iterations=new.iterations + old.iterations,
        seconds=new.seconds + old.seconds,
        cpu_seconds=new.cpu_seconds + old.cpu_seconds,
        retries=new.retries + old.retries,
        attempts=old.attempts + new.attempts,
        stop=old.stop,
        refined=abs(old.refined) + new.iterations,
    )
