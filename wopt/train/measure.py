"""The record of a step, measured on the held-out particles, and how even their weights are."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.subproblem import Subproblem
from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.psis import smoothed_importance_weights
from wopt.stein import affine_residual
from wopt.train.guard import Verdict, nll
from wopt.train.problem import Problem
from wopt.train.record import StepRecord
from wopt.train.wrappers import spread

_ERRORS = 2.0
"""Standard errors by which k-hat has to be below its threshold, as other draws give another."""


@torch.no_grad()
def relative_ess(target: Target | None, particles: Particles) -> float | None:
    """Return the trusted relative effective size of weights  w = exp(-V) / rho  at draws of rho.

    It is 1 if rho is the target and near 0 far from it. It is an estimate that is blind to mass
    where no particles are. Return ``None`` where V or rho is not known, or the particles are
    weighted nodes instead of draws.

    Example:
        >>> import wopt
        >>> x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> law = wopt.build("target", "gaussian")
        >>> particles = Particles.start(x, log_density=-law.potential(x))
        >>> round(relative_ess(law, particles), 6)
        1.0
    """
    known = particles.log_density_start is not None and particles.log_det is not None
    if target is None or Capability.POTENTIAL not in target.provides or not known:
        return None
    if particles.weights is not None or particles.condition:
        return None
    w = (-target.potential(particles.points) - particles.log_density).double()
    good = w.isfinite() & particles.points.isfinite().all(1)
    return trusted_relative_ess(torch.where(good, w, -torch.inf))


def trusted_relative_ess(log_weights: Tensor) -> float:
    """Return (sum w)^2 / (n sum w^2), or less where the weights' tail is too heavy to trust it.

    The factor is  t / (k + 2 e),  if that is below one: k-hat k with its standard error e and its
    threshold t = min(1 - 1/log10 n, 0.7). The largest weights of a heavy tail are rare and usually
    not among the draws, so that these look more even than they are.

    Args:
        log_weights: Shape ``(n,)``, nats; -infinity for a draw without a finite weight.

    Source: Vehtari, Simpson, Gelman, Yao, Gabry, *Pareto smoothed importance sampling*, JMLR 2024.

    Example:
        >>> w = torch.rand(4000, generator=torch.Generator().manual_seed(0)).double()
        >>> round(trusted_relative_ess(w.log()), 2)  # of uniform weights, (1/2)^2 / (1/3)
        0.75
        >>> trusted_relative_ess(-0.9 * w.log()) < 0.1  # a Pareto law of shape 0.9
        True
    """
    w = log_weights.double()
    if not bool((w > -torch.inf).any()):
        return 0.0
    fraction = float((2 * w.logsumexp(0) - (2 * w).logsumexp(0)).exp()) / len(w)
    tail = smoothed_importance_weights(w)
    k = tail.k_hat + _ERRORS * tail.k_hat_error
    return fraction if k <= tail.threshold else fraction * max(0.0, tail.threshold) / k


def record_of(
    problem: Problem,
    step: int,
    step_size: float,
    energy: float,
    subproblem: Subproblem,
    block: FlowBlock,
    verdict: Verdict,
) -> StepRecord:
    """Return the record of a step from the guard's verdict; fields of training are left empty."""
    before, moved = subproblem.baseline, verdict.moved
    squared = (moved.points - before.points).square().sum(1)
    stationarity = subproblem.stationarity(spread(block, problem.runtime.team))
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
    if problem.log_det is None:
        return None
    return float(particles.mean(values)) - problem.log_det
