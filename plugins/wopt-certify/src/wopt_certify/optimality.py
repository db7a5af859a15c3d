"""Checks whether a step's map is the optimal one, as the bounds along the run assume."""

from __future__ import annotations

import dataclasses
from typing import Literal

from wopt.capabilities import Capability
from wopt.errors import UserError
from wopt.interfaces import Objective
from wopt.typed import Number, Typed
from wopt_certify.bounds import optimal_residual
from wopt_certify.estimate import Estimate
from wopt_certify.replay import ReplayedStep
from wopt_certify.transport import Symmetry, TransportGap, jacobian_symmetry, transport_gap

__all__ = [
    "Optimality",
    "needs_optimal",
    "optimality_of",
    "symmetry_of",
    "why_not_optimal",
]

_TOLERANCE = 0.5
"""The largest tolerated ratio of the antisymmetric part to DT - I, in root mean square."""

_POINTS = 100
_MANY = 128
"""Dimensions up to which DT is computed, one backward pass each."""


@dataclasses.dataclass(frozen=True)
class OptimalityResidual(Typed):
    """A first-order error that allows for the map not being optimal."""

    value: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Optimality(TransportGap):
    """Estimates of a block's distance from the optimal map.

    The gap lies between what plans between samples give (``plans``) and what the best quadratic
    potential gives (``high``), which is far too large where laws are not Gaussian.

    Attributes:
        residual_low, residual_high: The first-order error that allows for the gap.
    """

    symmetry: Symmetry | None = None
    residual_low: OptimalityResidual | None = None
    residual_high: OptimalityResidual | None = None


def needs_optimal(objective: Objective) -> bool:
    """Return whether bounds along the run need optimal maps.

    Objectives of the points alone are convex along all couplings and do not. Source:
    docs/theory.md 4.2 (d).
    """
    return bool(objective.needs & (Capability.LOG_DET | Capability.LOG_DENSITY))


def symmetry_of(passage: ReplayedStep) -> tuple[Symmetry | None, str]:
    """Return the symmetry of DT at a few points, or the reason why there is none.

    With conditions it is that of the map given each condition.
    """
    x, *c = passage.before.rows(slice(_POINTS)).inputs
    if x.shape[1] > _MANY:
        return None, f"the derivative is not looked at in more than {_MANY} dimensions"

    try:
        return jacobian_symmetry(lambda at: passage.block.move(at, *c), x), ""
    except UserError as error:  # a map that autograd cannot follow
        return None, str(error)


def why_not_optimal(symmetry: Symmetry | None) -> str:
    """Return why a map is not optimal; empty without evidence against it.

    An optimal map is the gradient of a convex function, so DT is symmetric and has no negative
    eigenvalue.
    """
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
    looked: tuple[Symmetry | None, str],
    residual: Estimate | None,
    rows: int,
    level: float,
    seed: int,
) -> Optimality | None:
    """Return the transport gap, the symmetry of DT, and the residual that allows for the gap.

    Args:
        looked: From :func:`symmetry_of`.
        residual: The first-order error, with the block as the map.
        rows: Rows of each plan; 0 leaves all out.
    """
    x, y = passage.before.points, passage.after.points
    # With conditions the map is optimal for each of them, which joint plans do not show.
    weighted = passage.before.weights is not None  # nodes, between which plans are not unbiased
    if passage.before.condition or weighted or rows == 0 or len(x) < max(8, 4 * (x.shape[1] + 1)):
        return None
    gap = transport_gap(x, y, size=max(4, min(rows, len(x) // 2)), level=level, seed=seed)
    symmetry, why = looked
    made = Optimality(gap.cost, gap.dual, gap.high, gap.plans, why, symmetry)
    if symmetry is None or residual is None or symmetry.least_eigenvalue <= 0:
        return made

    def corrected(end: float) -> OptimalityResidual:
        steepest = 1 / symmetry.least_eigenvalue
        return OptimalityResidual(
            float(optimal_residual(residual.value, end, passage.step_size, steepest))
        )

    low = corrected(gap.plans[-1].gap) if gap.plans else None
    return dataclasses.replace(made, residual_low=low, residual_high=corrected(gap.high.value))
