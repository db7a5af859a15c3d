"""What is measured of one step: errors, movement, energy, optimality of the map, inverse."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.certify.bounds import Base
from wopt.certify.critic import TOGETHER, CriticOptions, seen_by_fields
from wopt.certify.estimate import Estimate, divergence, root_mean_square
from wopt.certify.replay import Passage
from wopt.certify.score import pushed_score
from wopt.interfaces.derivatives import wasserstein_gradient
from wopt.interfaces.objective import Objective
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import inversion_error
from wopt.statistics import mean_and_error
from wopt.stein.form import SteinForm
from wopt.train.guard import INVERTED
from wopt.train.problem import Problem

__all__ = ["Method", "StepMeasure", "base_of", "measure_step"]

Method = Literal["gradient", "score", "critic", "affine", "record"]
"""How a first-order error was found. ``gradient``: from the Wasserstein gradient at the particles,
of an objective of the points alone. ``score``: with the pushed score of the start. ``critic``,
``affine``: by test fields, so a lower bound up to sampling error. ``record``: the affine estimate
of the run itself."""


@dataclasses.dataclass(frozen=True)
class StepMeasure:
    """What is measured of one step on certification particles.

    Attributes:
        step: 1, 2, ...
        step_size: h.
        effective: h' of the subproblem, or h.
        base: Where the proximal step begins.
        residuals: The first-order error by every method that is possible.
        movement: Root mean square of what the proximal step moves: y - a, or y - x with an
            explicit part.
        divergence: KL to the target where both densities are known.
        energy: The objective and its standard error.
        inversion: Root mean square of T^-1(T(x)) - x.
        fisher: The norm of the Wasserstein gradient after the step, and how it was found.
        seen: What each test field saw of the Wasserstein gradient after the step.
        examined: Whether test fields other than affine ones looked at the step, where they are
            needed; if not, no bound is made of what was seen of it.
    """

    step: int
    step_size: float
    effective: float
    base: Base
    residuals: dict[Method, Estimate]
    movement: Estimate
    divergence: Estimate | None
    energy: tuple[float, float]
    inversion: float | None
    fisher: tuple[Method, Estimate]
    seen: dict[str, Estimate]
    examined: bool = True

    @property
    def residual(self) -> tuple[Method, Estimate] | None:
        """The best of the residuals, and how it was found."""
        return _best(self.residuals) if self.residuals else None


@torch.no_grad()
def measure_step(
    problem: Problem,
    passage: Passage,
    options: CriticOptions,
    score: Tensor | None = None,
    *,
    examined: bool = True,
) -> tuple[StepMeasure, Tensor | None]:
    """Measure one step.

    Args:
        problem: What was minimised and how.
        passage: The step.
        options: Of the critic.
        score: The score of the law before the step at the first particles, if it is known.
        examined: Whether fields other than affine ones are to look at it.

    Returns:
        The measurements, and the score after the step.
    """
    objective = problem.objective
    options = options if examined else dataclasses.replace(options, iterations=0)
    sub, before, after = passage.subproblem, passage.before, passage.after
    base = "none" if sub is None else base_of(objective, sub, before)
    residuals: dict[Method, Estimate] = {}
    moved = after.points - before.points
    pushed = None
    if score is not None and Capability.LOG_DET in passage.block.provides:
        pushed = pushed_score(passage.block, before.points[: len(score)], score)
    condition = None if sub is None else sub.stationarity(passage.audited)
    if condition is not None:
        y = condition.particles.points
        if base != "forward":
            moved = condition.displacement
        form = SteinForm.of_condition(condition)
        known = pushed if torch.equal(y, after.points) else None
        residuals, _ = _residuals(form, condition.objective, options, known)
    elif passage.record.residual is not None:
        residuals = {"record": Estimate.of(passage.record.residual, 0.0, options.level)}
    squares = moved.double().square().sum(1)
    fisher, seen = _root_fisher(objective, after, options, pushed)
    measure = StepMeasure(
        step=passage.record.step,
        step_size=passage.record.step_size,
        effective=passage.record.step_size if sub is None else sub.step_size,
        base=base,
        residuals=residuals,
        movement=root_mean_square(squares, before.weights, options.level),
        divergence=divergence(objective, after, options.level),
        energy=_energy(objective, after),
        inversion=inversion_error([passage.block], before.points[:INVERTED]),
        fisher=fisher,
        seen=seen,
        examined=examined or not objective.of_density or pushed is not None,
    )
    return measure, pushed


def base_of(objective: Objective, sub: Subproblem, before: Particles) -> Base:
    """Return where the proximal step of a subproblem starts, which says what bounds hold.

    ``previous``: at the particles (jko). ``forward``: at the particles moved by an explicit step of
    a part of the objective. ``other``: elsewhere. ``none``: the step is not implicit, or its end
    is not where the implicit part is evaluated.
    """
    if not sub.proximal or not torch.equal(sub.particles.points, before.points):
        return "none"
    if sub.implicit is objective:
        return "previous" if torch.equal(sub.anchor, before.points) else "other"
    explicit, _ = objective.split()
    if explicit is None or explicit.of_density:
        return "none"
    forward = before.points - sub.step_size * wasserstein_gradient(explicit, before)
    scale = float(forward.abs().max()) + 1.0
    close = torch.allclose(sub.anchor, forward, rtol=1e-4, atol=1e-4 * scale)
    return "forward" if close else "none"


def _root_fisher(
    objective: Objective, at: Particles, options: CriticOptions, score: Tensor | None
) -> tuple[tuple[Method, Estimate], dict[str, Estimate]]:
    """Return the norm of the Wasserstein gradient, the root of the relative Fisher information.

    Beside it what each test field saw of it.
    """
    exact = dataclasses.replace(options, iterations=0) if score is not None else options
    residuals, seen = _residuals(SteinForm.of(objective, at), objective, exact, score)
    return _best(residuals), seen


def _best(residuals: dict[Method, Estimate]) -> tuple[Method, Estimate]:
    """Return the value without a class's bias if there is one, else the largest."""
    for method in ("gradient", "score"):
        if method in residuals:
            return method, residuals[method]
    return max(residuals.items(), key=lambda pair: pair[1].value)


def _residuals(
    form: SteinForm, implicit: Objective, options: CriticOptions, score: Tensor | None
) -> tuple[dict[Method, Estimate], dict[str, Estimate]]:
    """Return the error by every method, and what each test field saw."""
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


def _energy(objective: Objective, at: Particles) -> tuple[float, float]:
    values = objective.contributions(at)
    error = 0.0 if values is None else mean_and_error(values.double(), at.weights).error
    return float(objective.energy(at)), error
