"""Is a step's map the optimal one, as the bounds along the run assume: gap, and symmetry of DT."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import DataError, UserError
from wopt.interfaces import Objective
from wopt.jacobian import jacobians
from wopt.statistics import mean_and_error, optimal_slope
from wopt.typed import Number, Typed
from wopt_certify.bounds import optimal_residual
from wopt_certify.estimate import Estimate, combine
from wopt_certify.replay import ReplayedStep

_TOLERANCE = 0.5
"""The largest tolerated ratio of the antisymmetric part to DT - I, in root mean square."""

_POINTS = 100
_MANY = 128
"""Dimensions up to which DT is computed, one backward pass each."""


@dataclasses.dataclass(frozen=True)
class SamplePlans(Typed):
    """Exact plans between samples at one sample size; means over disjoint groups.

    Attributes:
        gap: mean |x - y|^2 minus the squared distance of the same x and y. Its mean is at most
            the gap of the laws and grows with the size; it is 0 for an optimal map at any size.
        w2_squared_independent: The squared distance of x and y from different rows; its mean is too
            large.
        w2_squared_noise: The squared distance of two independent samples of x, which is all bias:
            ``w2_squared_independent`` cannot resolve distances below it.
    """

    size: int
    gap: Number
    w2_squared_independent: Number
    w2_squared_noise: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Symmetry(Typed):
    """The distance of a map's derivative J from that of an optimal map: symmetric and positive.

    Attributes:
        antisymmetric: Root mean square of |(J - J^T)/2|, Frobenius norms.
        relative: ``antisymmetric`` over the root mean square of |J - I|, in [0, 1]; 0 for the
            identity.
        least_eigenvalue: The least eigenvalue of (J + J^T)/2 at the points.
    """

    antisymmetric: Number
    relative: Number
    least_eigenvalue: Number
    points: int
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class OptimalityResidual(Typed):
    """A first-order error that allows for the map not being optimal."""

    value: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Optimality(Typed):
    """Estimates of a map's distance from the optimal one between the law of x and its image.

    Attributes:
        cost: E|x - T x|^2.
        dual: A lower bound of W_2^2 by the best quadratic potential, up to its sampling error.
        high: cost - dual, an upper bound of the gap E|x - T x|^2 - W_2^2, far too large where laws
            are not Gaussian.
        plans: Lower bounds of the gap in the mean, at two sizes.
        reason: The parts left out, with reasons, in one line.
        residual_low, residual_high: The first-order error that allows for the gap.
    """

    cost: Estimate
    dual: Estimate
    high: Estimate
    plans: tuple[SamplePlans, ...] = ()
    reason: str = ""
    symmetry: Symmetry | None = None
    residual_low: OptimalityResidual | None = None
    residual_high: OptimalityResidual | None = None


def transport_gap(
    x: Tensor,
    y: Tensor,
    *,
    size: int = 500,
    groups: int = 4,
    level: float = 0.95,
    seed: int = 0,
) -> Optimality:
    """Estimate the gap of a map from its values, without knowing the optimal one.

    *From above.* For every convex f,  W_2^2 >= E|x|^2 + E|y|^2 - 2 E f(x) - 2 E f*(y).  Here f is
    the quadratic whose gradient A x + b carries the mean and covariance of x to those of y. Row by
    row the rest of the cost is the misfit of that map,

        2 (f(x) + f*(y) - <x, y>) = (y - A x - b)^T A^-1 (y - A x - b) >= 0,

    tight where the laws are Gaussian and where T is symmetric and affine. A and b are fitted on
    every other row and evaluated on the rest, in both ways. *From below*: plans between subsamples,
    at ``size`` and at half of it.

    Args:
        x: Independent rows of the law before the block, shape ``(n, d)``.
        y: T(x), shape ``(n, d)``; values have the squared unit of x.
        size: Rows of the larger subsamples; two of them have to fit into n.
        groups: Number of disjoint pairs of subsamples at most.

    Source: docs/theory 4.2 (d), the dual by Gelbrich 1990; the plan by Crouse, *On
    implementing 2D rectangular assignment algorithms*, 2016.
    """
    if x.ndim != 2 or x.shape != y.shape:
        raise DataError(
            f"a map's rows and their images have one shape (n, d), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    if len(x) < 4 * (x.shape[1] + 1):
        raise DataError(
            f"the gap in {x.shape[1]} dimensions needs at least {4 * (x.shape[1] + 1)} rows, got "
            f"{len(x)}; use more"
        )
    if size < 4 or groups < 1:
        raise UserError(f"plans need size >= 4 and groups >= 1, got {size} and {groups}")
    x, y = x.detach().double().cpu(), y.detach().double().cpu()
    costs, misfits = (x - y).square().sum(1), []
    for k in (0, 1):
        fit, judge = slice(k, None, 2), slice(1 - k, None, 2)
        misfits.append((costs[judge], _misfit(x[fit], y[fit], x[judge], y[judge])))
    return Optimality(
        cost=Estimate.of(*mean_and_error(costs), level),
        dual=combine([mean_and_error(cost - misfit) for cost, misfit in misfits], level),
        high=combine([mean_and_error(misfit) for _, misfit in misfits], level),
        plans=_plans(x, y, min(size, len(x) // 2), groups, seed),
    )


def _misfit(x: Tensor, y: Tensor, at_x: Tensor, at_y: Tensor) -> Tensor:
    """Return (y - A x - b)^T A^-1 (y - A x - b) at rows, for A and b fitted on other rows."""
    m, n = x.mean(0), y.mean(0)
    slope = optimal_slope(_covariance(x - m), _covariance(y - n))
    rest = at_y - n - (at_x - m) @ slope
    return (rest * torch.linalg.solve(slope, rest.T).T).sum(1)


def _covariance(centred: Tensor) -> Tensor:
    """Return the covariance with a small ridge, since any positive A gives a bound."""
    covariance = centred.T @ centred / len(centred)
    floor = 1e-10 * float(covariance.diagonal().mean()) + 1e-300
    return covariance + floor * torch.eye(len(covariance)).to(covariance)


def _plans(x: Tensor, y: Tensor, size: int, groups: int, seed: int) -> tuple[SamplePlans, ...]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    plans = []
    for rows in (size // 2, size):
        values = []
        for group in order[: len(x) // (2 * rows) * 2 * rows].reshape(-1, 2, rows)[:groups]:
            (x0, x1), (y0, y1) = x[group], y[group]
            gap = float((x0 - y0).square().sum(1).mean()) - _squared_distance(x0, y0)
            values.append([max(0.0, gap), _squared_distance(x0, y1), _squared_distance(x0, x1)])
        plans.append(SamplePlans(rows, *torch.tensor(values).mean(0).tolist()))
    return tuple(plans)


def _squared_distance(x: Tensor, y: Tensor) -> float:
    """Return W_2^2 of two sets of equal size: by sorting on the line, else by assignment."""
    if x.shape[1] == 1:
        return float((x[:, 0].sort()[0] - y[:, 0].sort()[0]).square().mean())
    from scipy.optimize import linear_sum_assignment

    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square().cpu().numpy()
    return float(cost[linear_sum_assignment(cost)].mean())


def jacobian_symmetry(move: Callable[[Tensor], Tensor], points: Tensor) -> Symmetry:
    """Measure the symmetry of DT at points, shape ``(m, d)``, by d backward passes.

    An optimal map is the gradient of a convex function, so DT is symmetric and has no negative
    eigenvalue; a check at some points is evidence. T, row by row, is followed by autograd.

    Source: docs/theory 4.2 (d).
    """
    if points.ndim != 2 or not len(points):
        raise DataError(f"points have shape (m, d), m > 0, got {tuple(points.shape)}")
    x = points.detach().clone().requires_grad_()
    with torch.enable_grad():
        y = move(x)
        if y.shape != x.shape or not y.requires_grad:
            raise UserError(
                "the map must return rows of the same shape that autograd can differentiate, got "
                f"shape {tuple(y.shape)}, requires_grad = {y.requires_grad}; is it run under "
                "torch.no_grad?"
            )
        jacobian = jacobians(y, x).double()
    even, odd = (jacobian + jacobian.mT) / 2, (jacobian - jacobian.mT) / 2
    moved = jacobian - torch.eye(x.shape[1]).to(jacobian)
    wrong, total = (float(part.square().sum((1, 2)).mean().sqrt()) for part in (odd, moved))
    return Symmetry(
        antisymmetric=wrong,
        relative=wrong / total if total > 0 else 0.0,
        least_eigenvalue=float(torch.linalg.eigvalsh(even).min()),
        points=len(x),
    )


def symmetry_of(passage: ReplayedStep) -> tuple[Symmetry | None, str]:
    """Return the symmetry of DT, given each condition, at a few points, or why there is none."""
    x, *c = passage.before.rows(slice(_POINTS)).inputs
    if x.shape[1] > _MANY:
        return None, f"the derivative is not looked at in more than {_MANY} dimensions"
    try:
        return jacobian_symmetry(lambda at: passage.block.move(at, *c), x), ""
    except UserError as error:  # a map that autograd cannot follow
        return None, str(error)


def why_not_optimal(symmetry: Symmetry | None) -> str:
    """Return why a map is not optimal; empty without evidence against it."""
    if symmetry is None:
        return ""
    if symmetry.least_eigenvalue < -1e-3:
        return (
            "the map is not optimal, sym(DT) has the negative eigenvalue "
            f"{symmetry.least_eigenvalue:.3g}"
        )
    if symmetry.relative > _TOLERANCE:
        return (
            f"the map is not optimal, {symmetry.relative:.0%} of DT - I is antisymmetric "
            f"(at most {_TOLERANCE:.0%} is tolerated)"
        )
    return ""


def optimality_of(
    passage: ReplayedStep,
    objective: Objective,
    residual: Estimate | None,
    rows: int,
    level: float,
    seed: int,
) -> tuple[Optimality | None, str]:
    """Return a map's distance from the optimal one, and why it is not optimal if it matters.

    Args:
        residual: The first-order error, with the block as the map.
        rows: Rows of each plan; 0 leaves all out.
    """
    # Objectives of the points alone are convex along all couplings (docs/theory 4.2 (d)).
    matters = bool(objective.needs & (Capability.LOG_DET | Capability.LOG_DENSITY))
    symmetry, why = symmetry_of(passage) if matters or rows else (None, "")
    not_optimal = why_not_optimal(symmetry) if matters else ""
    x, y = passage.before.points, passage.after.points
    # With conditions the map is optimal for each of them, which joint plans do not show.
    weighted = passage.before.weights is not None  # nodes, between which plans are not unbiased
    if passage.before.condition or weighted or rows == 0 or len(x) < max(8, 4 * (x.shape[1] + 1)):
        return None, not_optimal
    gap = transport_gap(x, y, size=max(4, min(rows, len(x) // 2)), level=level, seed=seed)
    made = dataclasses.replace(gap, reason=why, symmetry=symmetry)
    if symmetry is None or residual is None or symmetry.least_eigenvalue <= 0:
        return made, not_optimal
    steepest = 1 / symmetry.least_eigenvalue
    low, high = (
        OptimalityResidual(
            float(optimal_residual(residual.value, end, passage.step_size, steepest))
        )
        for end in (gap.plans[-1].gap, gap.high.value)
    )
    return dataclasses.replace(made, residual_low=low, residual_high=high), not_optimal
