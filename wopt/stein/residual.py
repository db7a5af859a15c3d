"""The first-order error of a proximal step, by the Stein form with affine test fields."""

from __future__ import annotations

from wopt.interfaces.subproblem import Stationarity
from wopt.stein.affine import AffineField
from wopt.stein.form import SteinForm

__all__ = ["affine_residual"]


def affine_residual(condition: Stationarity) -> float:
    """Estimate the norm of  xi = grad_W G(rho) + (y - a)/h'  at the new particles y = T(x).

    For any field phi,  |xi| >= <xi, phi>/|phi|  with equality at phi = xi. Here phi ranges over
    affine fields (exact where all laws are Gaussian). It is fitted on every other particle and
    evaluated on the rest, in both ways, so that a rich class does not bias the estimate upwards;
    weighted particles (quadrature) serve for both.

    Args:
        condition: The step's first-order condition at its new particles.

    Returns:
        An estimate of the norm of xi's affine part, in units of length per h: up to sampling error
        a lower bound of the first-order error.

    Source: docs/theory.md 4.2 (4.1).
    """
    if condition.particles.weights is not None:
        whole = SteinForm.of_condition(condition)
        return max(0.0, whole.size(*AffineField(whole)(whole.points))[0])
    if len(condition.particles) < 2:
        return 0.0  # a single particle is not enough for a fit and an evaluation
    first, second = (SteinForm.of_condition(condition.rows(slice(k, None, 2))) for k in (0, 1))
    sizes = [
        on.size(*AffineField(fitted)(on.points))[0]
        for fitted, on in ((first, second), (second, first))
    ]
    return float((sum(max(0.0, size) ** 2 for size in sizes) / 2) ** 0.5)
