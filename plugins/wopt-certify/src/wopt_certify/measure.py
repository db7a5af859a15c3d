"""The measurements of one step: errors, movement, energy, optimality of the map, inverse."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces import Objective, Subproblem, wasserstein_gradient
from wopt.particles import Particles
from wopt.push import inversion_error
from wopt.statistics import mean_and_error
from wopt.stein import SteinForm
from wopt.train import INVERTED, Problem
from wopt_certify.bounds import Base, StepBounds
from wopt_certify.critic import TOGETHER, CriticOptions, seen_by_fields
from wopt_certify.estimate import (
    Estimate,
    Method,
    MethodEstimate,
    divergence,
    root_mean_square,
)
from wopt_certify.replay import ReplayedStep, pushed_score
from wopt_certify.results import Energy, StepCertificate
from wopt_certify.transport import optimality_of


@dataclasses.dataclass(frozen=True)
class StepMeasure:
    """The measurements of one step, on particles that nothing was trained on.

    Attributes:
        step: The certificate's entry, without the gap and the bounds, which need all steps.
        base: The starting point of the proximal step.
        divergence: KL to the target in nats, where both densities are known.
        contributions: Each particle's contribution to the energy, shape ``(n,)``, where that is a
            mean without weights.
        second_moment: E|x|^2 after the step.
        examined: Whether test fields other than affine ones were fitted, where they are needed; if
            not, the step gives no bound.
    """

    step: StepCertificate
    base: Base
    divergence: Estimate | None
    contributions: Tensor | None
    second_moment: float
    examined: bool = True

    @property
    def by_fields(self) -> bool:
        """Whether the residual or the gradient is estimated by test fields."""
        residual = self.step.residual
        return self.step.gradient.by_fields or (residual is not None and residual.by_fields)


@torch.no_grad()
def measure_step(
    problem: Problem,
    passage: ReplayedStep,
    options: CriticOptions,
    score: Tensor | None = None,
    plan_rows: int = 0,
    *,
    examined: bool = True,
) -> tuple[StepMeasure, Tensor | None]:
    """Measure one step.

    Args:
        score: The score before the step at the first m particles, shape ``(m, d)``, if known.
        plan_rows: Rows of each plan between samples; 0: none is made.
        examined: Whether fields other than affine ones are fitted.

    Returns:
        The measurements, and the score after the step, shape ``(m, d)``.
    """
    objective = problem.objective
    options = options if examined else dataclasses.replace(options, iterations=0)
    before, after, pushed = passage.before, passage.after, _pushed(passage, score)
    base = base_of(objective, passage.subproblem, before)
    residuals, moved = _first_order(passage, base, options, pushed)
    residual = _best(residuals) if residuals else None
    exact = options if pushed is None else dataclasses.replace(options, iterations=0)
    gradients, seen = _residuals(SteinForm.of(objective, after), objective, exact, pushed)
    transport, not_optimal = optimality_of(
        passage, objective, residual, plan_rows, options.level, options.seed
    )
    each = objective.contributions(after)
    error = 0.0 if each is None else mean_and_error(each.double(), after.weights).error
    step = StepCertificate(
        step=passage.record.step,
        step_size=passage.record.step_size,
        effective_step_size=passage.step_size,
        gap=None,
        energy=Energy(float(objective.energy(after)), error),
        residual=residual,
        residuals={str(method): value for method, value in residuals.items()},
        movement=root_mean_square(moved.double().square().sum(1), before.weights, options.level),
        gradient=_best(gradients),
        seen=seen,
        inversion_error=inversion_error([passage.block], before.rows(slice(INVERTED))),
        transport=transport,
        not_optimal=not_optimal,
        bounds=StepBounds(),
    )
    by_mean = None if after.weights is not None else each
    known = divergence(objective, after, options.level)
    examined = examined or not objective.of_density or pushed is not None
    return StepMeasure(step, base, known, by_mean, second_moment(after), examined), pushed


def _first_order(
    passage: ReplayedStep, base: Base, options: CriticOptions, score: Tensor | None
) -> tuple[dict[Method, Estimate], Tensor]:
    """Return the residuals of a step by every method, and the displacement of its proximal part."""
    sub, moved = passage.subproblem, passage.after.points - passage.before.points
    condition = None if sub is None else sub.stationarity(passage.block)
    if condition is None:
        found = passage.record.residual
        return {} if found is None else {"record": Estimate.of(found, 0.0, options.level)}, moved
    known = score if torch.equal(condition.particles.points, passage.after.points) else None
    form = SteinForm.of_condition(condition)
    residuals, _ = _residuals(form, condition.objective, options, known)
    return residuals, moved if base == "forward" else condition.displacement


def _pushed(passage: ReplayedStep, score: Tensor | None) -> Tensor | None:
    """Return the score after a step, from the score before it."""
    if score is None or Capability.LOG_DET not in passage.block.provides:
        return None
    x, *c = passage.before.rows(slice(len(score))).inputs
    return pushed_score(passage.block, x, score, *c)


def second_moment(at: Particles) -> float:
    """Return E|x|^2, in float64."""
    return mean_and_error(at.points.double().square().sum(1), at.weights).value


def base_of(objective: Objective, sub: Subproblem | None, before: Particles) -> Base:
    """Return the starting point of a subproblem's proximal step, on which the bounds depend.

    ``previous``: at the particles (jko). ``forward``: at the particles moved by an explicit step.
    ``other``: elsewhere. ``none``: there is no proximal step that ends where it is evaluated.
    """
    if sub is None or not sub.proximal or not torch.equal(sub.particles.points, before.points):
        return "none"
    if sub.implicit is objective:
        return "previous" if torch.equal(sub.anchor, before.points) else "other"
    explicit, _ = objective.split()
    if explicit is None or explicit.of_density:
        return "none"
    forward = before.points - sub.step_size * wasserstein_gradient(explicit, before)
    close = (sub.anchor - forward).abs().max() <= 1e-4 * forward.abs().max()
    return "forward" if close else "none"


def _best(residuals: dict[Method, Estimate]) -> MethodEstimate:
    """Return the estimate without a class's bias if there is one, else the largest."""
    found = [MethodEstimate(**dataclasses.asdict(v), by=k) for k, v in residuals.items()]
    exact = [one for one in found if not one.by_fields]
    return exact[0] if exact else max(found, key=lambda one: one.value)


def _residuals(
    form: SteinForm, implicit: Objective, options: CriticOptions, score: Tensor | None
) -> tuple[dict[Method, Estimate], dict[str, Estimate]]:
    """Return the error by every method, and the part of it that each test field sees."""
    if not implicit.of_density:
        squares = form.by_point.square().sum(1)
        return {"gradient": root_mean_square(squares, form.weights, options.level)}, {}
    seen = seen_by_fields(form, options)
    residuals: dict[Method, Estimate] = {"affine": seen["affine"]}
    if options.iterations:
        residuals["critic"] = seen[TOGETHER]
    slope = form.by_log_det
    constant = bool((slope - slope[0]).abs().max() <= 1e-4 * slope[0].abs())
    if score is not None and constant and form.weights is None:
        # E[l div phi] = -l E<score, phi> where l is a constant: then xi = g - l score.
        xi = form.by_point[: len(score)] - float(slope[0]) * score.to(form.by_point)
        residuals["score"] = root_mean_square(xi.square().sum(1), None, options.level)
    return residuals, seen
