"""The Stein form of first-order errors, its affine test fields, and the residual of a step."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.interfaces.objective import Objective, energy_derivatives
from wopt.interfaces.subproblem import Stationarity
from wopt.particles import Particles


@dataclasses.dataclass(frozen=True)
class SteinForm:
    """<xi, phi> = E[<g, phi> + l div phi] for  xi = grad_W G(rho) + (y - a)/h'.

    E<grad_W G, phi> = DG(rho)[phi] is the derivative of the energy along (phi, div phi), so it
    needs the energy alone. For kl, g = grad V + (y - a)/h' and l = -1: docs/theory (4.1).

    Attributes:
        points: y, shape ``(n, d)``, float64.
        by_point: g at each particle, shape ``(n, d)``.
        by_log_det: l at each particle, shape ``(n,)``.
        weights: The particles' weights, shape ``(n,)``, which sum to one; ``None`` if equal.
        context: Conditions of the particles, shape ``(n, k)``, float64, on which test fields may
            depend; ``None`` if there are none.

    Example:
        >>> class Half(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> y = torch.tensor([[1.0], [-1.0]])
        >>> form = SteinForm.of(Half(), Particles.start(y))
        >>> form.size(y, torch.ones(2))  # <y, y>/|y| and its standard error
        (1.0, 0.0)
    """

    points: Tensor
    by_point: Tensor
    by_log_det: Tensor
    weights: Tensor | None
    context: Tensor | None = None

    @classmethod
    def of(
        cls,
        objective: Objective,
        moved: Particles,
        anchor: Tensor | None = None,
        step_size: float = 1.0,
    ) -> SteinForm:
        """Return the form at particles.

        Args:
            objective: G, or the implicit part of a subproblem.
            moved: The particles y, points ``(n, d)``.
            anchor: The subproblem's anchor a, shape ``(n, d)``; ``None`` leaves the Wasserstein
                gradient alone.
            step_size: The subproblem's h'.
        """
        y = moved.points.detach().double()
        by_point, by_log_det = (part.double() for part in energy_derivatives(objective, moved))
        shares = moved.shares(torch.float64)
        weights = None if moved.weights is None else shares
        by_point = by_point / shares[:, None]
        if anchor is not None:
            by_point = by_point + (y - anchor.double()) / step_size
        context = None if moved.context is None else moved.context.double()
        return cls(y, by_point, by_log_det / shares, weights, context)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What fields are called with: the points ``(n, d)``, and the context ``(n, k)`` if any."""
        return given(self.points, self.context)

    @classmethod
    def of_condition(cls, condition: Stationarity) -> SteinForm:
        """Return the form of a step's first-order condition."""
        c = condition
        return cls.of(c.objective, c.particles, c.anchor, c.step_size)

    def rows(self, index: Tensor | slice) -> SteinForm:
        """Return the form on m of the equally weighted particles, with shapes ``(m, ...)``."""
        assert self.weights is None
        return dataclasses.replace(
            self,
            points=self.points[index],
            by_point=self.by_point[index],
            by_log_det=self.by_log_det[index],
            context=None if self.context is None else self.context[index],
        )

    def along(self, field: Tensor, divergence: Tensor) -> Tensor:
        """Return <g, phi> + l div phi, shape ``(n,)``, for phi ``(n, d)`` and div phi ``(n,)``."""
        return (self.by_point * field).sum(1) + self.by_log_det * divergence

    def mean(self, values: Tensor) -> Tensor:
        """Return the weighted mean, shape ``(...)``, of values of shape ``(n, ...)``."""
        if self.weights is None:
            return values.mean(0)
        return torch.tensordot(self.weights, values, dims=1)

    def size(self, field: Tensor, divergence: Tensor) -> tuple[float, float]:
        """Return  <xi, phi>/|phi|  and its standard error (delta method).

        By Cauchy and Schwarz it is at most |xi|, with equality at phi = xi; it is negative only
        by sampling noise or for a field that points the wrong way.

        Args:
            field: phi at the points, shape ``(n, d)``.
            divergence: div phi at the points, shape ``(n,)``.
        """
        field, divergence = field.double(), divergence.double()
        along, squares = self.along(field, divergence), field.square().sum(1)
        product, square = float(self.mean(along)), float(self.mean(squares))
        if square == 0:
            return 0.0, 0.0
        norm = math.sqrt(square)
        if self.weights is not None:
            return product / norm, 0.0
        influence = (along - product) / norm - product * (squares - square) / (2 * norm**3)
        return product / norm, float(influence.std(correction=0)) / math.sqrt(len(influence))


class AffineField:
    """phi(y) = C^T (y, 1), the maximiser of  2 <xi, phi> - E|phi|^2  over affine fields.

    The maximum over all fields is affine where all laws are Gaussian and the maps affine.

    Args:
        form: The Stein form of xi.
    """

    def __init__(self, form: SteinForm) -> None:
        d = form.points.shape[1]
        features = self._features(*form.inputs)
        weighted = features if form.weights is None else form.weights[:, None] * features
        scale = len(features) if form.weights is None else 1
        linear = weighted.T @ form.by_point / scale
        linear[:d] += float(form.mean(form.by_log_det)) * torch.eye(d).to(linear)
        self.matrix: Tensor = _solved(weighted.T @ features / scale, linear)

    def __call__(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y`` given c, shapes ``(n, d)`` and ``(n,)``."""
        divergence = self.matrix[: y.shape[1]].diagonal().sum().expand(len(y))
        return self._features(y.double(), c) @ self.matrix, divergence

    @staticmethod
    def _features(y: Tensor, c: Tensor | None = None) -> Tensor:
        return torch.cat([*given(y, c), y.new_ones(len(y), 1)], dim=1)


def _solved(gram: Tensor, right: Tensor) -> Tensor:
    """Return the solution of least norm, by the eigenvalues of a positive semidefinite matrix."""
    # ``torch.linalg.lstsq`` uses QR with pivots whose initial values are uninitialised memory, so
    # its last bits, and now and then its rank, vary (github.com/pytorch/pytorch/issues/187411).
    if not gram.isfinite().all():
        return torch.full_like(right, torch.nan)
    values, vectors = torch.linalg.eigh(gram)
    least = len(gram) * torch.finfo(gram.dtype).eps * values.abs().amax()
    inverse = torch.where(values > least, 1 / values, 0)
    return vectors @ (inverse[:, None] * (vectors.T @ right))


def affine_residual(condition: Stationarity) -> float:
    """Estimate the norm of  xi = grad_W G(rho) + (y - a)/h'  at the new particles y = T(x).

    For any field phi,  |xi| >= <xi, phi>/|phi|  with equality at phi = xi. Here phi ranges over
    affine fields (exact where all laws are Gaussian). It is fitted on every other particle and
    evaluated on the rest, in both ways, so that a rich class does not bias the estimate upwards;
    weighted particles (quadrature) serve for both.

    Source: docs/theory 4.2 (4.1).
    """
    if condition.particles.weights is not None:
        whole = SteinForm.of_condition(condition)
        return max(0.0, whole.size(*AffineField(whole)(*whole.inputs))[0])
    if len(condition.particles) < 2:
        return 0.0  # a single particle is not enough for a fit and an evaluation
    first, second = (SteinForm.of_condition(condition.rows(slice(k, None, 2))) for k in (0, 1))
    sizes = [
        on.size(*AffineField(fitted)(*on.inputs))[0]
        for fitted, on in ((first, second), (second, first))
    ]
    return float((sum(max(0.0, size) ** 2 for size in sizes) / 2) ** 0.5)
