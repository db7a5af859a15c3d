"""Barenblatt's law: the profile that porous media keep, dilated in time."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wopt.component import fields
from wopt_measures.laws.gaussian import KnownLaw, check_dim, check_points


@fields
class BarenblattTarget(KnownLaw):
    """Barenblatt's law  p(x) = (C - c |x|^2)_+^(1/(m-1))  on a ball, of mass one.

    The gradient flow of int rho^m/(m-1), the porous medium equation, only dilates it. As a start it
    is given to the source ``density``; the potential is infinite off the ball. |x|^2/R^2 has the
    law Beta(d/2, m/(m-1)), which gives samples, moments and quadrature rules.

    Source: Barenblatt, 1952; Vazquez, *The Porous Medium Equation*, 2007; docs/theory 5.3.

    Raises:
        DataError: Points have another dimension.

    Example:
        >>> law = BarenblattTarget(m=2.0, dim=1, radius=1.0)  # 3/4 (1 - x^2)
        >>> round(float(law.log_prob(torch.zeros(1, 1).double()).exp()), 6)
        0.75
        >>> round(law.second_moment, 6)
        0.2
    """

    cites = ("vazquez2007",)
    # Checks of laws use points of order one, where the density must be positive.
    example: ClassVar[dict[str, Any]] = {"radius": 20.0}

    m: Annotated[float, Field(gt=1, description="the power m of the porous medium")] = 2.0
    dim: Annotated[int, Field(ge=1, description="the dimension")] = 2
    radius: Annotated[float, Field(gt=0, description="radius of the ball")] = 1.0

    @property
    def shape(self) -> tuple[float, float]:
        """The parameters of the law of |x|^2/R^2."""
        return self.dim / 2, self.m / (self.m - 1)

    @property
    def second_moment(self) -> float:
        """The second moment E |x|^2."""
        a, b = self.shape
        return self.radius**2 * a / (a + b)

    @functools.cached_property
    def coefficient(self) -> float:
        """The constant c; C is c R^2."""
        a, b = self.shape
        mass = a * math.log(math.pi) + math.lgamma(b) - math.lgamma(a + b)
        power = self.dim + 2 / (self.m - 1)
        return math.exp(-(self.m - 1) * (mass + power * math.log(self.radius)))

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats, -inf off the ball: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        inside = self.coefficient * (self.radius**2 - x.square().sum(1))
        return inside.clamp(min=0).log() / (self.m - 1)

    def score(self, x: Tensor) -> Tensor:
        """Return grad log p inside of the ball: shape ``(n, d)`` to ``(n, d)``."""
        inside = self.radius**2 - x.square().sum(1, keepdim=True)
        return -2 * x / inside / (self.m - 1)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        like: dict[str, Any] = {"dtype": torch.float64, "device": rng.device}
        a, b = (
            torch._standard_gamma(torch.full((n,), shape, **like), generator=rng)
            for shape in self.shape
        )
        z = torch.randn(n, dim, generator=rng, **like)
        return self._at(a / (a + b), z)

    def from_cube(self, u: Tensor) -> Tensor:
        """Map uniform points, shape ``(n, d + 1)`` or on the line ``(n, 1)``, to ``(n, d)``."""
        from scipy.special import betaincinv, ndtri

        q = u[:, 0].numpy()
        if self.dim == 1:
            side = np.where(q < 0.5, -1.0, 1.0)  # the middle, q = 1/2, has a sign too
            fraction = torch.from_numpy(betaincinv(*self.shape, np.abs(2 * q - 1)))
            return self._at(fraction, torch.from_numpy(side)[:, None])
        return self._at(
            torch.from_numpy(betaincinv(*self.shape, q)), torch.from_numpy(ndtri(u[:, 1:].numpy()))
        )

    def radial_rule(self, n: int) -> tuple[Tensor, Tensor]:
        """Return radii and weights, shapes ``(n,)``, exact to degree 2 n - 1 in |x|^2."""
        from scipy.special import roots_jacobi

        a, b = self.shape
        nodes, weights = roots_jacobi(n, b - 1, a - 1)
        shares, weights = torch.from_numpy((1 + nodes) / 2), torch.from_numpy(weights)
        return self.radius * shares.sqrt(), weights / weights.sum()

    def _at(self, fraction: Tensor, along: Tensor) -> Tensor:
        unit = along / along.norm(dim=1, keepdim=True)
        return self.radius * fraction.sqrt()[:, None] * unit


BarenblattLaw = BarenblattTarget
