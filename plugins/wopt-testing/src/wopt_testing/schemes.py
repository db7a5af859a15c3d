"""Laws of schemes, checked on Gaussian problems with affine maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from wopt import Problem, ProximalScheme, Solution, Stop, iterate, solve
from wopt.train import LBFGS
from wopt_testing.checks import LawError, Laws
from wopt_testing.gaussian import AffineBlock, GaussianProblem, gaussian_problems

Make = Callable[[float], ProximalScheme]
"""Returns the scheme with a step size."""


def check_scheme(
    make: Make, *, problem: GaussianProblem | None = None, tolerance: float = 1e-8
) -> list[str]:
    """Check a scheme on KL between Gaussians, in float64, with affine maps.

    L-BFGS on quadrature nodes solves these exactly, so that errors are those of the scheme.

    Args:
        problem: The problem; by default in the plane, with covariances that do not commute.
        tolerance: Largest movement at the minimiser, and largest effect of hidden state.

    Example:
        >>> from wopt.component import build
        >>> check_scheme(lambda h: build("scheme", {"name": "jko", "step_size": h}))[2:]
        ['memory_is_in_the_state', 'minimiser_stays', 'order_is_1']
    """
    problem = problem or gaussian_problems()["rotated"]
    scheme = make(0.02)
    law = Laws(type(scheme).__name__, tolerance)
    solution = run_scheme(scheme, problem, 3)
    law.holds("steps_are_accepted", solution.status == "done", f": {solution.reason}")
    law("energy_falls", max(r.energy_change for r in solution.history), 0.0)
    law("memory_is_in_the_state", _hidden_memory(make, problem, solution))
    still = run_scheme(scheme, problem.at_target(), 2)
    law("minimiser_stays", max([r.w2_step for r in still.history], default=np.inf))
    if scheme.order is not None:
        slope = measured_order(make, problem)
        law(f"order_is_{scheme.order}", abs(slope - scheme.order), 0.1)
    return law.done


def measured_order(
    make: Make,
    problem: GaussianProblem,
    *,
    time: float = 0.08,
    counts: Sequence[int] = (4, 8),
) -> float:
    """Return the slope of log error against log h, errors against the exact flow at ``time``."""
    errors = []
    for count in counts:
        solution = run_scheme(make(time / count), problem, count)
        if solution.status != "done":
            raise LawError(f"no order can be measured: {solution.reason}")
        errors.append(problem.error(solution.state.train.particles, time))
    return float(np.polyfit(-np.log(counts), np.log(errors), 1)[0])


def run_scheme(scheme: ProximalScheme, problem: GaussianProblem, steps: int) -> Solution:
    """Make steps of a scheme on a problem, solved up to rounding."""
    return solve(
        problem.nodes(),
        objective=problem.objective(),
        scheme=scheme,
        block=AffineBlock(problem.dim),
        solver=LBFGS(),
        stop=Stop(steps=steps),
    )


def _hidden_memory(make: Make, problem: GaussianProblem, solution: Solution) -> float:
    """Return the difference from a run in which every step has a new scheme object."""
    solver, state = LBFGS(), None
    for step in range(len(solution.history)):
        parts = Problem(
            problem.objective(),
            make(solution.history[0].step_size),
            AffineBlock(problem.dim),
            solver,
            stop=Stop(steps=step + 1),
        )
        state, _ = next(iterate(parts, state or parts.begin(problem.nodes())))
    assert state is not None
    difference = state.train.particles.points - solution.state.train.particles.points
    return float(torch.linalg.vector_norm(difference, ord=torch.inf))
