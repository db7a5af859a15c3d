"""The first-order error of a proximal step, by the Stein form with affine test fields."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.derivatives import energy_derivatives
from wopt.interfaces.objective import Objective
from wopt.particles import Particles

__all__ = ["affine_residual"]


def affine_residual(
    objective: Objective, moved: Particles, anchor: Tensor, step_size: float
) -> float:
    """Estimate the norm of  xi = grad_W G(rho) + (y - a)/h'  at the new particles y = T(x).

    For any field phi,  |xi|^2 >= <xi, phi>^2 / E|phi|^2  with equality at phi = xi, and
    E<grad_W G, phi> = DG(rho)[phi] is the derivative of the energy along (phi, div phi), so no
    score is needed. Here phi ranges over affine fields (exact where all laws are Gaussian). It is
    fitted on every other particle and the bound evaluated on the rest, in both ways, so that a
    rich class does not bias the estimate upwards; weighted particles (quadrature) serve for both.

    Returns:
        An estimate of the norm of xi's affine part, in units of length per h: up to sampling error
        a lower bound of the first-order error.

    Source: theory.md 4.2 (4.1).

    Args:
        objective: The implicit part of the subproblem.
        moved: The new particles.
        anchor: The subproblem's anchor, shape ``(n, d)``.
        step_size: The subproblem's h'.
    """
    if moved.weights is not None:
        whole = _AffineForm(objective, moved, anchor, step_size)
        return whole.bound(whole.best()) ** 0.5
    first, second = (
        _AffineForm(objective, moved.rows(slice(k, None, 2)), anchor[k::2], step_size)
        for k in (0, 1)
    )
    return ((first.bound(second.best()) + second.bound(first.best())) / 2) ** 0.5


class _AffineForm:
    """<xi, phi> and E|phi|^2 for the fields phi(y) = C^T (y, 1), C of shape (d + 1, d)."""

    def __init__(
        self, objective: Objective, moved: Particles, anchor: Tensor, step_size: float
    ) -> None:
        n, d = moved.points.shape
        y = moved.points.detach().double()
        weights = y.new_full((n,), 1 / n) if moved.weights is None else moved.weights.double()
        by_point, by_log_det = (d.double() for d in energy_derivatives(objective, moved))
        by_point = by_point + weights[:, None] * (y - anchor.double()) / step_size
        features = torch.cat([y, y.new_ones(n, 1)], dim=1)
        self.linear = features.T @ by_point
        self.linear[:d] += by_log_det.sum() * torch.eye(d, dtype=y.dtype, device=y.device)
        self.gram = (weights[:, None] * features).T @ features

    def best(self) -> Tensor:
        return torch.linalg.lstsq(self.gram, self.linear).solution

    def bound(self, c: Tensor) -> float:
        """Return  <xi, phi>^2 / E|phi|^2,  or zero where phi points the wrong way."""
        along = float((c * self.linear).sum())
        squared = float((c * (self.gram @ c)).sum())
        return along**2 / squared if along > 0 and squared > 0 else 0.0
