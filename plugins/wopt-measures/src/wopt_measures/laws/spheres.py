"""Laws that turn into themselves: spheres with noise, and Student's."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from wopt_measures.laws.gaussian import KnownLaw, check_dim, check_points


@dataclasses.dataclass(eq=False)
class ShellLaw(KnownLaw):
    """A uniform direction times a radius r ~ N(R, s^2):  p(x) = N(r; R, s^2)/(|S^(d-1)| r^(d-1)).

    Negative radii are left out of the density, so R is many s.

    Attributes:
        radius, scale: Mean R and standard deviation s of the radius.
    """

    dim: int = dataclasses.field()
    radius: float = 3.0
    scale: float = 0.3

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        r, half = x.norm(dim=1), self.dim / 2
        area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        constant = math.log(self.scale * math.sqrt(2 * math.pi)) + area
        return -((r - self.radius) / self.scale).square() / 2 - constant - (self.dim - 1) * r.log()

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        like: dict[str, Any] = {"dtype": torch.float64, "device": rng.device}
        way = torch.randn(n, dim, generator=rng, **like)
        r = self.radius + self.scale * torch.randn(n, 1, generator=rng, **like)
        return r * way / way.norm(dim=1, keepdim=True)


@dataclasses.dataclass(eq=False)
class StudentLaw(KnownLaw):
    """The Student law  z sqrt(v/chi^2_v),  z ~ N(0, I):  p ~ (1 + |x|^2/v)^-(v+d)/2."""

    dim: int = dataclasses.field()
    freedom: int = 5

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        d, v = self.dim, self.freedom
        constant = math.lgamma((v + d) / 2) - math.lgamma(v / 2) - d / 2 * math.log(v * math.pi)
        return constant - (v + d) / 2 * torch.log1p(x.square().sum(1) / v)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        like: dict[str, Any] = {"dtype": torch.float64, "device": rng.device}
        z = torch.randn(n, dim, generator=rng, **like)
        chi = torch.randn(n, self.freedom, generator=rng, **like).square().sum(1)
        return z * (self.freedom / chi).sqrt()[:, None]
