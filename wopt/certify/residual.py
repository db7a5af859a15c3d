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

    For any field phi,  |xi|^2 >= 2 E<xi, phi> - E|phi|^2  with equality at phi = xi, and
    E<grad_W G, phi> = DG(rho)[phi] is the derivative of the energy along (phi, div phi), so no
    score is needed. Here phi ranges over affine fields (exact where all laws are Gaussian). phi is
    fitted on every other particle and the bound evaluated on the rest, so that it is not biased
    upwards; weighted particles (quadrature) serve for both.

    Returns:
        An estimate of the norm of xi's affine part, in units of length per h; noise in the square
        that is below zero is cut to zero.

    Source: theory.md 4.2 (4.1).

    Args:
        objective: The implicit part of the subproblem.
        moved: The new particles.
        anchor: The subproblem's anchor, shape ``(n, d)``.
        step_size: The subproblem's h'.
    """
    if moved.weights is not None:
        fit = held = _AffineForm(objective, moved, anchor, step_size)
    else:
        fit, held = (
            _AffineForm(objective, moved.rows(slice(k, None, 2)), anchor[k::2], step_size)
            for k in (0, 1)
        )
    coefficients = fit.best()
    return float(held.value(coefficients).clamp(min=0).sqrt())


class _AffineForm:
    """The quadratic form  2 E<xi, phi> - E|phi|^2  over phi(y) = C^T (y, 1), for C (d + 1, d)."""

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

    def value(self, c: Tensor) -> Tensor:
        return 2 * (c * self.linear).sum() - (c * (self.gram @ c)).sum()
