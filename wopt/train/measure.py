"""The record of a step, measured on the held-out particles."""

from __future__ import annotations

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.stein.residual import affine_residual
from wopt.train.guard import Verdict, nll
from wopt.train.importance import relative_ess
from wopt.train.problem import Problem
from wopt.train.record import StepRecord
from wopt.train.spread import spread

__all__ = ["record_of"]


def record_of(
    problem: Problem,
    step: int,
    step_size: float,
    energy: float,
    subproblem: Subproblem,
    block: FlowBlock,
    verdict: Verdict,
) -> StepRecord:
    """Return the record of a step from the guard's verdict; fields of training are left empty.

    Args:
        problem: The objective, the scheme and the other parts of the solve.
        step: Number of the step: 1, 2, ...
        step_size: h of the step.
        energy: The objective before the step.
        subproblem: The subproblem of the map at the held-out particles.
        block: The map.
        verdict: Measurements of the guard.
    """
    before, moved = subproblem.baseline, verdict.moved
    squared = (moved.points - before.points).square().sum(1)
    stationarity = subproblem.stationarity(spread(block))
    return StepRecord(
        step=step,
        step_size=step_size,
        energy=verdict.energy,
        energy_change=verdict.energy - energy,
        w2_step=float(before.mean(squared).sqrt()),
        decrease=verdict.decrease.value,
        decrease_error=verdict.decrease.error,
        residual=None if stationarity is None else affine_residual(stationarity),
        nll_valid=_mean_nll(problem, moved),
        likelihood_error=verdict.likelihood_error,
        inversion_error=verdict.inversion_error,
        retries=0,
        attempts=(),
        terms={k: float(v) for k, v in problem.objective.terms(moved).items()},
        loss=float("nan"),
        iterations=0,
        seconds=0.0,
        cpu_seconds=0.0,
        weights=relative_ess(problem.objective.target, moved),
    )


def _mean_nll(problem: Problem, particles: Particles) -> float | None:
    target = problem.objective.target
    values = nll(problem.objective, particles)
    if values is None or target is None or Capability.NORMALISED not in target.provides:
        return None
    return float(particles.mean(values)) - problem.log_det
