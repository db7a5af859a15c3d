"""Whether a step's block is the optimal map of the theorems."""

from __future__ import annotations

from typing import Any

import torch

from wopt.certify.bounds import optimal_residual
from wopt.certify.estimate import Estimate
from wopt.certify.replay import Passage
from wopt.certify.transport import Symmetry, TransportGap, jacobian_symmetry, transport_gap
from wopt.errors import UserError

__all__ = ["optimality_part"]

_POINTS = 100
_MANY = 128
"""Dimensions up to which DT is computed, one backward pass each."""


def optimality_part(
    passage: Passage,
    residual: Estimate | None,
    step_size: float,
    rows: int,
    level: float,
    seed: int,
) -> dict[str, Any] | None:
    """Return the transport gap, the symmetry of DT, and the residual that allows for the gap.

    All are estimates. The gap lies between what plans between samples leave (``plans``, with POT)
    and what the best quadratic potential leaves (``high``), which is far too large where the laws
    are not Gaussian.

    Args:
        passage: The step.
        residual: The first-order error, with the block as the map.
        step_size: h'.
        rows: Of each plan; 0 leaves all out.
        level: Confidence of the intervals.
        seed: Of the subsamples.
    """
    x, y = passage.before.points, passage.after.points
    # With conditions the map is optimal for each of them, which joint plans do not show.
    weighted = passage.before.weights is not None  # nodes, between which plans are not unbiased
    if passage.before.condition or weighted or rows == 0 or len(x) < max(8, 4 * (x.shape[1] + 1)):
        return None
    gap = transport_gap(x, y, size=max(4, min(rows, len(x) // 2)), level=level, seed=seed)
    part: dict[str, Any] = {
        "cost": gap.cost.to_dict(),
        "dual": gap.dual.to_dict(),
        "high": gap.high.to_dict(),
        "plans": [_plan(gap, k) for k in range(len(gap.plans))],
        "symmetry": None,
    }
    if x.shape[1] > _MANY:
        why = f"the derivative is not looked at in more than {_MANY} dimensions"
        return part | {"reason": f"{gap.reason}; {why}".lstrip("; ")}
    try:
        with torch.enable_grad():
            symmetry = jacobian_symmetry(passage.block.move, x[:_POINTS])
    except UserError as error:
        return part | {"reason": str(error)}
    part |= {"symmetry": _shown(symmetry), "reason": gap.reason}
    if residual is None or symmetry.least_eigenvalue <= 0:
        return part
    return part | _corrected(residual.value, gap, step_size, 1 / symmetry.least_eigenvalue)


def _corrected(residual: float, gap: TransportGap, h: float, steepest: float) -> dict[str, Any]:
    """Return the residuals that allow for the least and the largest gap."""
    ends = {"high": gap.high.value} | ({"low": gap.plans[-1].gap} if gap.plans else {})
    values = {n: float(optimal_residual(residual, end, h, steepest)) for n, end in ends.items()}
    return {f"residual_{n}": {"value": v, "label": "estimate"} for n, v in values.items()}


def _shown(symmetry: Symmetry) -> dict[str, Any]:
    return {
        "relative": symmetry.relative,
        "least_eigenvalue": symmetry.least_eigenvalue,
        "points": symmetry.points,
        "label": "estimate",
    }


def _plan(gap: TransportGap, k: int) -> dict[str, Any]:
    plan = gap.plans[k]
    return {
        "size": plan.size,
        "gap": plan.gap,
        "w2_squared_independent": plan.independent,
        "w2_squared_noise": plan.noise,
        "label": "estimate",
    }
