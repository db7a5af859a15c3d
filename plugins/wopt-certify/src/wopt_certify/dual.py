"""A JKO step bounded from both sides: its value at the trained map, and a dual bound below."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement, Subproblem, Target
from wopt.particles import Particles
from wopt.seeds import generator
from wopt.statistics import mean_and_error, optimal_slope
from wopt.targets import gaussian_moments, jko_step, moments
from wopt.typed import Typed
from wopt_certify.replay import ReplayedStep, replay

_DRAWS = 100_000
"""Draws of a target whose potential is not quadratic."""


@dataclasses.dataclass(frozen=True)
class Quadratic:
    """phi(y) = y^T A y/2 + b^T y with I - A positive definite, so that |y|^2/2 - phi is convex.

    Attributes:
        matrix: A, shape ``(d, d)``.
        slope: b, shape ``(d,)``.
    """

    matrix: Tensor
    slope: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        """Return phi at points: shape ``(n, d)`` to ``(n,)``."""
        return ((y @ self.matrix) * y).sum(1) / 2 + y @ self.slope

    def transform(self, x: Tensor) -> Tensor:
        """Return phi^c(x) = inf_y |x - y|^2/2 - phi(y): shape ``(n, d)`` to ``(n,)``."""
        shifted = x + self.slope
        convex = torch.eye(len(self.slope), dtype=x.dtype) - self.matrix
        nearest = torch.linalg.solve(convex, shifted.T).T
        return (x.square().sum(1) - (shifted * nearest).sum(1)) / 2


def step_map(
    mean: Tensor, covariance: Tensor, to_mean: Tensor, to_covariance: Tensor, h: float
) -> Quadratic:
    """Return the optimal phi of the JKO step from N(m, C) to KL( . | N(n, S)).

    The step ends at a Gaussian N(m', C'), and y - grad phi(y) carries that back to N(m, C).

    Args:
        mean, covariance: m, shape ``(d,)``, and C, shape ``(d, d)``.

    Source: docs/theory 3.1 and 4.5.
    """
    eye = torch.eye(len(mean), dtype=mean.dtype)
    end_mean, end = jko_step(mean, covariance, to_mean, to_covariance, h)
    back = optimal_slope(end, covariance)
    return Quadratic(eye - back, back @ end_mean - mean)


def log_partition(phi: Quadratic, mean: Tensor, covariance: Tensor, h: float) -> float:
    """Return log E exp(-phi(Y)/h) for Y of N(n, S), nats; infinite where it diverges.

    Args:
        mean: n, shape ``(d,)``.
        covariance: S, shape ``(d, d)``.
    """
    precision = torch.linalg.inv(covariance)
    tilted = precision + phi.matrix / h
    if float(torch.linalg.eigvalsh(tilted)[0]) <= 0:
        return math.inf
    pull = precision @ mean - phi.slope / h
    log_det = torch.logdet(tilted) - torch.logdet(precision)
    ends = pull @ torch.linalg.solve(tilted, pull) - mean @ precision @ mean
    return float(ends - log_det) / 2


@dataclasses.dataclass(frozen=True)
class DualStep(Typed):
    """What is known of a step.

    Attributes:
        step: Number of the step, from 1.
        value: F(T) at the trained map, nats.
        bound: A lower bound of min F, nats.
        gap: F(T) - bound, from above: with two standard errors, 0 at the least.
        error: Standard error of value - bound; 0 with quadrature nodes and a Gaussian target.
        w2: Bound on W2(T#p, exact step from p), in the flow's coordinates; ``None`` where the
            objective's convexity lambda is not known, or 1 + h lambda is not positive.
        kl: Bound on KL(p | q) after the step, from that before the first step: e' = e/(1 + h
            lambda) + gap; ``None`` likewise.
    """

    step: int
    value: float
    bound: float
    gap: float
    error: float
    w2: float | None
    kl: float | None


@dataclasses.dataclass(frozen=True)
class DualReport(Typed):
    """Steps bounded from both sides.

    Attributes:
        exact: Whether the target's log E exp(-phi/h) is in closed form, and not a mean over draws.
        convexity: lambda of the objective, which the bounds on W2 and KL stand on.
    """

    steps: tuple[DualStep, ...]
    exact: bool
    convexity: float | None


@fields
class DualBound(Measurement):
    """Steps of JKO for KL bounded from both sides, without an assumption on what was trained.

    For every phi with |y|^2/2 - phi convex, by Kantorovich's duality and Gibbs' principle,

        min F >= E_p[phi^c]/h - log E_q exp(-phi/h),    phi^c(x) = inf_y |x - y|^2/2 - phi(y),

    where F(T) = KL(T#p | q) + E |x - T x|^2/(2 h). The value at the trained map minus this bounds
    how far the step is from exact; W2(T#p, exact step) <= sqrt(2 h gap/(1 + h lambda)). phi is the
    quadratic that is optimal for Gaussians with the moments of p and q, so the gap is that of the
    map where they are Gaussian, and holds but is wider elsewhere. It needs the start's density.

    Source: docs/theory 4.5.

    Example:
        >>> DualBound().document.__name__
        'DualReport'
    """

    cites: ClassVar[tuple[str, ...]] = ("ambrosio2008",)
    document: ClassVar[type[DualReport]] = DualReport

    def applies(self, run: FinishedRun) -> str | None:
        """Return why the steps of a run cannot be bounded so."""
        problem, at = run.prepared.problem, run.prepared.valid
        target = problem.objective.target
        if not problem.objective.gap_is_kl or target is None or not target.normalised:
            return "it bounds steps to minimise KL to a normalised target"
        if at.log_density_start is None:
            return "it needs a start whose density is known, and data are known by rows alone"
        if Capability.TARGET_SAMPLES not in target.provides:
            return "it needs draws of the target"
        return None

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> DualReport | None:
        """Return the bounds, ``None`` if no step is one of JKO."""
        problem = run.prepared.problem
        start = run.prepared.valid if run.particles is None else run.particles
        law = _Law.of(problem.objective.target, start, problem.seed)
        convexity = problem.objective.convexity
        energies = problem.objective.contributions(start)
        gap = mean_and_error(energies.double(), start.weights)
        kl: float | None = gap.value + 2 * gap.error
        steps = list[DualStep]()
        for passage in replay(problem, run.maps, run.state.records, start):
            sub = passage.subproblem
            if sub is None or type(sub) is not Subproblem or sub.anchor is not sub.particles.points:
                return None
            steps.append(_bounded(passage, sub, law, convexity, kl))
            kl = steps[-1].kl
        return DualReport(tuple(steps), law.draws is None, convexity) if steps else None


@dataclasses.dataclass(frozen=True)
class _Law:
    """The target's moments, and draws where its potential is not quadratic."""

    mean: Tensor
    covariance: Tensor
    draws: Tensor | None

    @classmethod
    def of(cls, target: Target, at: Particles, seed: int) -> _Law:
        rng = generator(seed, "dual")
        if (known := gaussian_moments(target, at.dim)) is not None:
            return cls(*known, None)
        draws = target.sample(_DRAWS, at.dim, rng).double()
        return cls(draws.mean(0), torch.cov(draws.T).reshape(at.dim, at.dim), draws)

    def log_partition(self, phi: Quadratic, h: float) -> tuple[float, float]:
        """Return log E_q exp(-phi/h) and its standard error."""
        if self.draws is None:
            return log_partition(phi, self.mean, self.covariance, h), 0.0
        logs = -phi(self.draws) / h
        top = float(logs.max())
        mean = mean_and_error((logs - top).exp())
        return top + math.log(mean.value), mean.error / mean.value


def _bounded(
    passage: ReplayedStep, sub: Subproblem, law: _Law, convexity: float | None, kl: float | None
) -> DualStep:
    """Return the bounds of a step, given one on KL before it."""
    before, after, h = passage.before, passage.after, sub.step_size
    x = before.points.double()
    mean, covariance = moments(dataclasses.replace(before, points=x))
    phi = step_map(mean, covariance, law.mean, law.covariance, h)
    energies = sub.implicit.contributions(after)
    assert energies is not None, "KL is a mean over particles"
    values = (energies + sub.cost(after)).double()
    parts = phi.transform(x) / h
    partition, partition_error = law.log_partition(phi, h)
    value = mean_and_error(values, before.weights).value
    apart = mean_and_error(values - parts, before.weights)
    error = math.hypot(apart.error, partition_error)
    gap = max(0.0, apart.value + partition + 2 * error)
    shrink = 0.0 if convexity is None else 1 + h * convexity
    return DualStep(
        step=passage.record.step,
        value=value,
        bound=value - apart.value - partition,
        gap=gap,
        error=error,
        w2=math.sqrt(2 * h * gap / shrink) if shrink > 0 else None,
        kl=kl / shrink + gap if shrink > 0 and kl is not None else None,
    )
