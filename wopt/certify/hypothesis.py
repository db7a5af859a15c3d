"""Whether a step's map is the optimal one, which the bounds along the run take it to be."""

from __future__ import annotations

import torch

from wopt.capabilities import Capability
from wopt.certify.replay import Passage
from wopt.certify.transport import jacobian_symmetry
from wopt.errors import UserError
from wopt.interfaces.objective import Objective

__all__ = ["TOLERANCE", "why_not_optimal"]

TOLERANCE = 0.5
"""The largest share of DT - I that may be antisymmetric, in root mean square."""

_POINTS = 100
_MANY = 128


def why_not_optimal(objective: Objective, passage: Passage) -> str:
    """Return why the map of a step is not optimal; nothing where no evidence speaks against it.

    An optimal map is the gradient of a convex function, so DT is symmetric and has no negative
    eigenvalue. Objectives of the points alone are convex along all couplings and ask for no
    optimal map. With conditions the map is looked at for each of them.

    Args:
        objective: What was minimised.
        passage: The step.

    Source: docs/theory.md 4.2 (d).
    """
    if not objective.needs & (Capability.LOG_DET | Capability.LOG_DENSITY):
        return ""
    x = passage.before.points[:_POINTS]
    moved = x.shape[1] - passage.before.condition
    if moved > _MANY:
        return ""

    def move(inside: torch.Tensor) -> torch.Tensor:
        whole = torch.cat([inside, x[:, moved:]], dim=1)
        return passage.block.move(whole)[:, :moved]

    try:
        symmetry = jacobian_symmetry(move, x[:, :moved])
    except UserError:  # a map that autograd cannot follow
        return ""
    if symmetry.least_eigenvalue < -1e-3:
        return (
            "the map is not optimal, sym(DT) has the negative eigenvalue "
            f"{symmetry.least_eigenvalue:.3g}"
        )
    if symmetry.relative > TOLERANCE:
        return (
            f"the map is not optimal, {symmetry.relative:.0%} of DT - I is antisymmetric "
            f"(at most {TOLERANCE:.0%} is tolerated)"
        )
    return ""
