"""A collection of known laws, for tests and for measurements of what is claimed."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import torch
from torch import Tensor

from wopt_measures.laws.bent import BananaLaw, FunnelLaw
from wopt_measures.laws.gaussian import GaussianLaw, KnownLaw, check_dim, check_points
from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.laws.spheres import ShellLaw, StudentLaw


@functools.cache
def known_laws() -> dict[str, KnownLaw]:
    """Return the laws by name, ``kind-dim``.

    ``gaussian`` (correlated), ``ring`` of eight Gaussians, ``rose`` (Gaussians along the curve
    r = cos 2t), ``roses`` (products of the rose), ``mixture`` (random, unlike covariances),
    ``banana``, ``funnel``, ``shell``, ``parity`` and ``student`` (five degrees of freedom).

    Example:
        >>> law = known_laws()["ring-2"]
        >>> x = law.sample(5, 2, torch.Generator().manual_seed(0))
        >>> x.shape, law.log_prob(x).shape
        (torch.Size([5, 2]), torch.Size([5]))
    """
    dims = (2, 5, 10, 20)
    made: dict[str, KnownLaw] = {f"gaussian-{d}": _gaussian(d) for d in dims}
    made |= {"ring-2": ring(), "rose-2": rose()}
    made |= {f"roses-{2 * k}": ProductLaw(rose(), k) for k in (5, 10)}
    made |= {f"mixture-{d}": mixture(d) for d in dims}
    made |= {f"banana-{d}": BananaLaw(d) for d in dims}
    made |= {f"funnel-{d}": FunnelLaw(d) for d in dims}
    made |= {f"shell-{d}": ShellLaw(d) for d in dims}
    made |= {f"parity-{d}": ParityLaw(d) for d in dims[:3]}
    return made | {f"student-{d}": StudentLaw(d) for d in dims}


def ring(k: int = 8, radius: float = 2.0, scale: float = 0.25) -> MixtureLaw:
    """Return k Gaussians of one standard deviation, evenly on a circle in the plane."""
    angle = 2 * math.pi / k * torch.arange(k, dtype=torch.float64)
    means = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return MixtureLaw.make(means.tolist(), scale)


def rose(k: int = 120, scale: float = 0.05) -> MixtureLaw:
    """Return k Gaussians along the curve r = cos 2t in the plane."""
    angle = 2 * math.pi * torch.arange(k, dtype=torch.float64) / k
    means = (2 * angle).cos()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return MixtureLaw.make(means.tolist(), scale)


def mixture(d: int, k: int = 6, seed: int = 0) -> MixtureLaw:
    """Return k Gaussians of different covariances at random places in d dimensions."""
    rng = torch.Generator().manual_seed(1000 * seed + d)
    means = 2.0 * torch.randn(k, d, generator=rng, dtype=torch.float64)
    factors = _rotated(d, k, 0.3, 1.0, 1000 * seed + d + 1)
    parts = tuple(GaussianLaw(m, factor) for m, factor in zip(means, factors, strict=True))
    return MixtureLaw(torch.full((k,), 1 / k, dtype=torch.float64), parts)


@dataclasses.dataclass(eq=False)
class ProductLaw(KnownLaw):
    """The law of k independent copies of a law, side by side.

    Example:
        >>> ProductLaw(ShellLaw(3), 4).dim
        12
    """

    law: KnownLaw
    copies: int

    @property
    def dim(self) -> int:  # type: ignore[override]
        """The dimension of all."""
        return (self.law.dim or 1) * self.copies

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        return self.law.log_prob(x.reshape(len(x) * self.copies, -1)).reshape(len(x), -1).sum(1)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        each = self.law.sample(n * self.copies, dim // self.copies, rng)
        return each.reshape(n, dim)


@dataclasses.dataclass(eq=False)
class ParityLaw(KnownLaw):
    """Gaussians at the corners s of the cube {-1, 1}^d with prod s = 1.

        p(x) = prod_j (a_j + b_j)/2 (1 + prod_j tanh(x_j/s^2)),  a, b = N(x_j; +-1, s^2).

    No proper subset of the coordinates shows that corners are missing.

    Example:
        >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double()
        >>> (ParityLaw(2).log_prob(x).exp() > 0.1).tolist()
        [True, False]
    """

    dim: int = dataclasses.field()
    scale: float = 0.4

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        both = -torch.stack([(x - 1) / self.scale, (x + 1) / self.scale]).square() / 2
        each = both.logsumexp(0) - math.log(2 * self.scale * math.sqrt(2 * math.pi))
        # 1 + prod tanh is tiny between corners of different parity, but never exactly zero.
        way = (x.double() / self.scale**2).tanh().prod(1).clamp(min=-1 + 1e-15)
        return each.sum(1) + torch.log1p(way).to(x)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        like: dict[str, Any] = {"dtype": torch.float64, "device": rng.device}
        signs = 2 * torch.randint(2, (n, dim), generator=rng, **like) - 1
        signs[:, -1] = signs[:, :-1].prod(1)
        return signs + self.scale * torch.randn(n, dim, generator=rng, **like)


def _gaussian(d: int) -> GaussianLaw:
    return GaussianLaw(torch.ones(d, dtype=torch.float64), _rotated(d, 1, 0.3, 3.0, d)[0])


def _rotated(d: int, k: int, least: float, most: float, seed: int) -> Tensor:
    """Return k Cholesky factors, ``(k, d, d)``, of rotated covariances with these deviations."""
    rng = torch.Generator().manual_seed(seed)
    spread = torch.linspace(math.log(least), math.log(most), d).double().exp().square()
    ways = (torch.randn(d, d, generator=rng, dtype=torch.float64) for _ in range(k))
    turns = [torch.linalg.qr(way)[0] for way in ways]
    return torch.stack([torch.linalg.cholesky((q * spread) @ q.T) for q in turns])
