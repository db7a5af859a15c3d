"""Many wells: a product of double wells, with known constant and samples."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt import Capability, ConfigError, Target
from wopt_measures.laws.gaussian import check_dim, check_points

_END, _NODES = 4.0, 200_001
"""End of the quadrature, beyond which exp(-V) of a well is negligible, and its nodes."""
_LISTED = 4
"""Largest number of wells for which all combinations of sides are listed as modes."""


class ManyWellsTarget(Target):
    """d/2 double wells in the plane:  V(x) = sum over pairs of  u^4 - 6 u^2 - u/2 + w^2/2.

    (u, w) are coordinates 1 and 2, 3 and 4, ... Each pair has two modes near u = -1.7 and 1.8, of
    weights 0.15 and 0.85, so that there are 2^(d/2) in all. It is not normalised:
    log Z = (d/2) 10.2935, by quadrature; 30.8804 in d = 6 and 164.6957 in d = 32. Samples are exact
    up to the quadrature, by the inverse of the distribution function of u.

    Listed modes are the combinations of sides in up to eight dimensions; above, they are the right
    sides of the pairs, whose weights are equal and do not sum to one.

    Source: Noe, Olsson, Koehler, Wu, *Boltzmann generators*, Science 2019; Midgley, Stimper, Simm,
    Schoelkopf, Hernandez-Lobato, *Flow annealed importance sampling bootstrap*, 2023.

    Raises:
        ConfigError: The dimension is odd.
        DataError: Points have another dimension.

    Example:
        >>> [round(ManyWellsTarget(dim=d).log_z, 4) for d in (2, 6, 32)]
        [10.2935, 30.8804, 164.6957]
        >>> weights, _ = ManyWellsTarget(dim=6).components(torch.zeros(1, 6))
        >>> len(weights), round(float(weights.sum()), 6)
        (8, 1.0)
    """

    cites = ("noe2019", "midgley2023")
    provides = Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES

    def __init__(
        self, dim: Annotated[int, Field(ge=2, description="the dimension d, even")] = 6
    ) -> None:
        if dim % 2:
            raise ConfigError(f"`dim` must be even, two coordinates per well, got {dim}")
        self.dim, self.wells = dim, dim // 2

    @property
    def log_z(self) -> float:  # type: ignore[override]
        """Logarithm of the integral of exp(-V)."""
        u, density = _quadrature()
        of_u = math.log(float(torch.trapezoid(density, u)))
        return self.wells * (of_u + math.log(2 * math.pi) / 2)

    @property
    def right(self) -> float:
        """Probability of u > 0."""
        u, density = _quadrature()
        middle = len(u) // 2
        right, all_ = (torch.trapezoid(density[k:], u[k:]) for k in (middle, 0))
        return float(right / all_)

    def potential(self, x: Tensor) -> Tensor:
        """Return V in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        u, w = x[:, ::2], x[:, 1::2]
        return (_well(u) + w.square() / 2).sum(1)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, d)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        x = torch.randn(n, dim, generator=rng, device=rng.device, dtype=torch.float64)
        fraction = torch.rand(x[:, ::2].shape, generator=rng, device=x.device, dtype=x.dtype)
        x[:, ::2] = _inverse_distribution(fraction)
        return x

    def components(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the modes' weights, ``(k,)``, and indicators of each point's modes, ``(n, k)``."""
        sides = (x[:, ::2] > 0).double()
        right, wells = self.right, x.shape[1] // 2
        if wells > _LISTED:
            return torch.full((wells,), right, dtype=torch.float64), sides
        every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=wells))).double()
        weights = (every * right + (1 - every) * (1 - right)).prod(1)
        return weights, (sides[:, None] == every).all(2).double()


def _well(u: Tensor) -> Tensor:
    return u.square().square() - 6 * u.square() - u / 2


@functools.cache
def _quadrature() -> tuple[Tensor, Tensor]:
    """Return nodes u and exp(-V(u)) at them."""
    u = torch.linspace(-_END, _END, _NODES, dtype=torch.float64)
    return u, (-_well(u)).exp()


def _inverse_distribution(fraction: Tensor) -> Tensor:
    """Return the quantiles of u at ``fraction``, linear between nodes."""
    u, density = _quadrature()
    mass = torch.cumulative_trapezoid(density, u)
    mass = (torch.cat([mass.new_zeros(1), mass]) / mass[-1]).to(fraction.device)
    u = u.to(fraction.device)
    k = torch.searchsorted(mass, fraction).clamp(1, len(u) - 1)
    low, high = mass[k - 1], mass[k]
    part = ((fraction - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    return u[k - 1] + part * (u[k] - u[k - 1])
