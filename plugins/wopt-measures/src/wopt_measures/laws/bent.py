"""Bent Gaussians: bananas and Neal's funnel."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt_measures.laws.gaussian import KnownLaw, check_dim, check_points

_TAU = 2 * math.pi


@dataclasses.dataclass(eq=False)
class BananaLaw(KnownLaw):
    """Pairs of coordinates along parabolas:  x_1 = l z_1,  x_2 = s z_2 + b (x_1^2 - c),  z normal.

    The bend keeps areas. In odd dimensions the last coordinate is l z_d.

    Attributes:
        bend, centre: The bend b and the constant c; x_2 has mean zero for c = l^2.
        length, across: Standard deviations l along the banana and s across.

    Example:
        >>> law = BananaLaw(2, bend=1.0)
        >>> round(float(law.log_prob(torch.tensor([[1.0, 0.0]]).double())), 4)  # -1/2 - log 2 pi
        -2.3379
        >>> round(law.entropy, 4)  # log(2 pi e), that of N(0, I)
        2.8379
    """

    dim: int = dataclasses.field()
    bend: float = 1.0
    centre: float = 1.0
    length: float = 1.0
    across: float = 1.0

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        z = torch.empty_like(x)
        z[:, ::2] = x[:, ::2] / self.length
        z[:, 1::2] = (x[:, 1::2] - self._bent(x)) / self.across
        return -z.square().sum(1) / 2 - self._log_volume(_TAU)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        x = torch.randn(n, dim, generator=rng, device=rng.device, dtype=torch.float64)
        x[:, ::2] *= self.length
        x[:, 1::2] = self.across * x[:, 1::2] + self._bent(x)
        return x

    @property
    def entropy(self) -> float:
        """The entropy, in nats: that of the straight Gaussian."""
        return self._log_volume(_TAU * math.e)

    def _bent(self, x: Tensor) -> Tensor:
        return self.bend * (x[:, : self.dim // 2 * 2 : 2].square() - self.centre)

    def _log_volume(self, unit: float) -> float:
        """Return the logarithm of unit^(d/2) times all standard deviations."""
        pairs, rest = divmod(self.dim, 2)
        single = math.log(math.sqrt(unit) * self.length)
        return pairs * math.log(unit * self.length * self.across) + rest * single


@dataclasses.dataclass(eq=False)
class FunnelLaw(KnownLaw):
    """Neal's funnel:  v ~ N(0, s^2),  x_2, ..., x_d ~ N(0, exp(v)) given v = x_1.

    Source: Neal, *Slice sampling*, Annals of Statistics 2003 (s = 3).

    Attributes:
        scale: The standard deviation s of v.
    """

    dim: int = dataclasses.field()
    scale: float = 1.0

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        v, rest = x[:, 0], x[:, 1:].square().sum(1)
        constant = self.dim / 2 * math.log(_TAU) + math.log(self.scale)
        of_v = (v / self.scale).square() / 2
        return -(of_v + (rest * (-v).exp() + (self.dim - 1) * v) / 2 + constant)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        z = torch.randn(n, dim, generator=rng, device=rng.device, dtype=torch.float64)
        v = self.scale * z[:, :1]
        return torch.cat([v, (v / 2).exp() * z[:, 1:]], dim=1)
