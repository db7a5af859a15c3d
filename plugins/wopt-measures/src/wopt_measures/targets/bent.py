"""Bent Gaussians: normalised targets with narrow arms and necks, with samples."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt_measures.laws.bent import FunnelLaw
from wopt_measures.laws.gaussian import KnownLaw, check_dim, check_points


class MustacheTarget(KnownLaw):
    """A correlated Gaussian in the plane, bent by a polynomial of degree four: two long thin tails.

        (x_1, x_2 - (x_1^2 - 1)^2)  ~  N(0, [[1, rho], [rho, 1]]).

    The bend keeps areas, so the density is normalised.

    Source: Hertrich, Gruhlke, *Importance corrected neural JKO sampling*, 2025 (rho = 0.9).

    Raises:
        DataError: Points do not have dimension two.

    Example:
        >>> target = MustacheTarget()
        >>> round(float(target.potential(torch.tensor([[0.0, 1.0]]).double())), 4)
        1.0075
        >>> round(math.log(2 * math.pi * (1 - 0.9**2) ** 0.5), 4)  # at the Gaussian's mean
        1.0075
    """

    cites = ("hertrich2025",)
    dim = 2

    def __init__(
        self,
        correlation: Annotated[
            float, Field(gt=-1, lt=1, description="correlation rho: near 1, tails are narrow")
        ] = 0.9,
    ) -> None:
        self.rho = correlation
        self.across = math.sqrt(1 - correlation**2)

    def potential(self, x: Tensor) -> Tensor:
        """Return V = -log density in nats, constant included: shape ``(n, 2)`` to ``(n,)``."""
        check_points(x, self.dim)
        u = x[:, 0]
        v = x[:, 1] - (u.square() - 1).square()
        w = (v - self.rho * u) / self.across
        return (u.square() + w.square()) / 2 + math.log(2 * math.pi * self.across)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, 2)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        u, w = torch.randn(2, n, generator=rng, device=rng.device, dtype=torch.float64)
        return torch.stack([u, self.rho * u + self.across * w + (u.square() - 1).square()], dim=1)


class FunnelTarget(FunnelLaw):
    """Neal's funnel:  v ~ N(0, s^2),  x_2, ..., x_d ~ N(0, exp(v)) given v = x_1.

    A neck that is narrow in d - 1 coordinates leads into a mouth as wide as exp(v/2): a sampler
    that misses either gets a wrong standard deviation s of v.

    Source: Neal, *Slice sampling*, Annals of Statistics 2003 (s = 3).

    Raises:
        DataError: Points have another dimension.

    Example:
        >>> target = FunnelTarget(dim=3)
        >>> x = target.sample(4000, 3, torch.Generator().manual_seed(0))
        >>> abs(float(x[:, 0].std()) - 3) < 0.15  # the standard error is 0.034
        True
    """

    cites = ("neal2003",)

    def __init__(
        self,
        dim: Annotated[int, Field(ge=2, description="the dimension d")] = 10,
        scale: Annotated[float, Field(gt=0, description="the standard deviation s of v")] = 3.0,
    ) -> None:
        super().__init__(dim, scale)
        self.names = ("v", *(f"x{j}" for j in range(2, dim + 1)))

    def figures(self, draws: Tensor, weights: Tensor) -> dict[str, float]:
        """Return ``sd_of_v_error``, v's relative error, of draws ``(n, d)``, weights ``(n,)``."""
        v = draws[:, 0]
        spread = (weights @ (v - weights @ v).square()).sqrt()
        return {"sd_of_v_error": abs(float(spread) / self.scale - 1)}
