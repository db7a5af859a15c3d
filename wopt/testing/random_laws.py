"""Random laws with known densities, and the geodesics between them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.particles import Particles

__all__ = ["ConvexMap", "displaced", "normal_particles"]

_BUMPS = 3


@dataclasses.dataclass(frozen=True)
class ConvexMap:
    """The gradient of a convex function: T(z) = A A^T z + b + sum_k c_k^2 tanh(w_k z + o_k) w_k.

    It is an optimal map from any law. Between two of them (1 - t) T_0 + t T_1 is the generalised
    geodesic with the law of z as its base.

    Attributes:
        a: Shape ``(d, d)``.
        b: Shape ``(d,)``.
        c, o: Shapes ``(k,)``.
        w: Shape ``(k, d)``.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    o: Tensor
    w: Tensor

    @classmethod
    def draw(cls, dim: int, scale: float, rng: torch.Generator) -> ConvexMap:
        """Return a random map that stretches by about ``scale`` and shifts by up to twice that."""

        def normal(*shape: int) -> Tensor:
            """Return normal numbers of this shape."""
            return torch.randn(*shape, dtype=torch.float64, generator=rng)

        root = scale**0.5
        a = root * (torch.eye(dim, dtype=torch.float64) + 0.3 * normal(dim, dim))
        return cls(
            a, scale * normal(dim), root * normal(_BUMPS), normal(_BUMPS), normal(_BUMPS, dim)
        )

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors of the map, in the order and shapes of the attributes."""
        return [self.a, self.b, self.c, self.o, self.w]

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(z), ``(n, d)``, and its Jacobians, ``(n, d, d)``, positive semi-definite."""
        bump = torch.tanh(z @ self.w.T + self.o)
        linear = self.a @ self.a.T
        y = z @ linear + self.b + (self.c.square() * bump) @ self.w
        slope = self.c.square() * (1 - bump.square())
        return y, linear + torch.einsum("nk,ki,kj->nij", slope, self.w, self.w)


def normal_particles(n: int, dim: int, rng: torch.Generator) -> Particles:
    """Return draws of N(0, I) with their density."""
    z = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    law = torch.distributions.Normal(torch.zeros(dim).double(), torch.ones(dim).double())
    return Particles.start(z, log_density=law.log_prob(z).sum(1))


def displaced(base: Particles, first: ConvexMap, second: ConvexMap, t: float) -> Particles:
    """Return the particles at time t of the generalised geodesic, with their log_det.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> base = normal_particles(3, 1, rng)
        >>> one = ConvexMap.draw(1, 1.0, rng)
        >>> torch.allclose(displaced(base, one, one, 0.3).points, one(base.points)[0])
        True
    """
    (x, at), (y, to) = first(base.points), second(base.points)
    jacobian = (1 - t) * at + t * to
    return base.moved((1 - t) * x + t * y, torch.linalg.slogdet(jacobian)[1])
