"""The Stein form: the inner product of a first-order error with a test field, without a score."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.interfaces.derivatives import energy_derivatives
from wopt.interfaces.objective import Objective
from wopt.interfaces.subproblem import Stationarity
from wopt.particles import Particles

__all__ = ["SteinForm"]


@dataclasses.dataclass(frozen=True)
class SteinForm:
    """<xi, phi> = E[<g, phi> + l div phi] for  xi = grad_W G(rho) + (y - a)/h'.

    E<grad_W G, phi> = DG(rho)[phi] is the derivative of the energy along (phi, div phi), so it
    needs the energy alone. For kl, g = grad V + (y - a)/h' and l = -1: docs/theory.md (4.1).

    Attributes:
        points: y, shape ``(n, d)``, float64.
        by_point: g at each particle, shape ``(n, d)``.
        by_log_det: l at each particle, shape ``(n,)``.
        weights: The particles' weights, shape ``(n,)``, which sum to one; ``None`` if equal.
        condition: Number of coordinates, the last ones, that are conditions: no map changes them,
            so test fields are zero along them.

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
    condition: int = 0

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
        return cls(y, by_point, by_log_det / shares, weights, moved.condition)

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
