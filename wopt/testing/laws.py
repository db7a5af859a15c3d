"""Laws of known density with exact samplers, for measurements of certificates."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Law", "laws"]

Density = Callable[[Tensor], Tensor]
Sampler = Callable[[int, torch.Generator], Tensor]


@dataclasses.dataclass(frozen=True)
class Law:
    """A law on R^d.

    Attributes:
        name: Name, with the dimension.
        dim: The dimension d.
        log_prob: The log-density, ``(n, d)`` to ``(n,)``, nats, float64.
        sample: Maps a number and a generator to samples ``(n, d)``, float64.

    Example:
        >>> law = laws()["ring-2"]
        >>> x = law.sample(5, torch.Generator().manual_seed(0))
        >>> x.shape, law.log_prob(x).shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    name: str
    dim: int
    log_prob: Density
    sample: Sampler


def laws() -> dict[str, Law]:
    """Return the laws by name, ``kind-dim``.

    ``gaussian`` (correlated), ``ring`` of eight Gaussians, ``rose`` (Gaussians along the curve
    r = cos 2t), ``roses`` (products of the rose), ``mixture`` (random, unlike covariances),
    ``banana``, ``funnel``, ``shell`` (all mass near a sphere), ``parity`` (modes at the corners of
    a cube with an even number of minus signs, which no proper subset of coordinates shows) and
    ``student`` (five degrees of freedom).

    Example:
        >>> len(laws()) >= 24
        True
    """
    made = [
        *(gaussian(d) for d in (2, 5, 10, 20)),
        ring(),
        rose(),
        *(product(rose(), k) for k in (5, 10)),
        *(mixture(d) for d in (2, 5, 10, 20)),
        *(banana(d) for d in (2, 5, 10, 20)),
        *(funnel(d) for d in (2, 5, 10, 20)),
        *(shell(d) for d in (2, 5, 10, 20)),
        *(parity(d) for d in (2, 5, 10)),
        *(student(d) for d in (2, 5, 10, 20)),
    ]
    return {law.name: law for law in made}


def of_gaussians(name: str, means: Tensor, factors: Tensor) -> Law:
    """Return the mixture of N(m_k, L_k L_k^T), means of shape ``(k, d)``, factors ``(k, d, d)``."""
    k, d = means.shape
    inverse = torch.linalg.inv(factors)
    constant = factors.diagonal(dim1=1, dim2=2).log().sum(1) + d / 2 * math.log(2 * math.pi)

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        logs = []
        for part in x.double().split(20_000):
            z = torch.einsum("kij,nkj->nki", inverse, part[:, None] - means)
            logs.append((-z.square().sum(2) / 2 - constant - math.log(k)).logsumexp(1))
        return torch.cat(logs)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        at = torch.randint(k, (n,), generator=draw)
        z = torch.randn(n, d, generator=draw, dtype=torch.float64)
        return means[at] + torch.einsum("nij,nj->ni", factors[at], z)

    return Law(f"{name}-{d}", d, log_prob, sample)


def gaussian(d: int) -> Law:
    """Return a Gaussian with standard deviations from 0.3 to 3, axes rotated."""
    return of_gaussians("gaussian", torch.ones(1, d).double(), _rotated(d, 1, 0.3, 3.0, seed=d))


def ring(k: int = 8, radius: float = 2.0, scale: float = 0.25) -> Law:
    """Return k Gaussians on a circle."""
    angle = 2 * math.pi * torch.arange(k, dtype=torch.float64) / k
    means = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return of_gaussians("ring", means, scale * torch.eye(2).double().expand(k, 2, 2))


def rose(k: int = 120, scale: float = 0.05) -> Law:
    """Return Gaussians along the curve r = cos 2t."""
    angle = 2 * math.pi * torch.arange(k, dtype=torch.float64) / k
    means = (2 * angle).cos()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return of_gaussians("rose", means, scale * torch.eye(2).double().expand(k, 2, 2))


def product(law: Law, k: int) -> Law:
    """Return the law of k independent copies side by side."""
    d = law.dim

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        return law.log_prob(x.reshape(-1, d)).reshape(len(x), k).sum(1)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        return law.sample(n * k, draw).reshape(n, k * d)

    name, _, _ = law.name.partition("-")
    return Law(f"{name}s-{k * d}", k * d, log_prob, sample)


def mixture(d: int, k: int = 6, seed: int = 0) -> Law:
    """Return k Gaussians of different covariances at random places."""
    draw = torch.Generator().manual_seed(1000 * seed + d)
    means = 2.0 * torch.randn(k, d, generator=draw, dtype=torch.float64)
    return of_gaussians("mixture", means, _rotated(d, k, 0.3, 1.0, seed=1000 * seed + d + 1))


def banana(d: int, bend: float = 1.0) -> Law:
    """Return N(0, I) bent:  x_1 unchanged,  x_j + b (x_{j-1}^2 - 1) for even j."""
    even = torch.arange(1, d, 2)

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        z = x.double().clone()
        z[:, even] = z[:, even] - bend * (z[:, even - 1].square() - 1)
        return -z.square().sum(1) / 2 - d / 2 * math.log(2 * math.pi)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        x = torch.randn(n, d, generator=draw, dtype=torch.float64)
        x[:, even] = x[:, even] + bend * (x[:, even - 1].square() - 1)
        return x

    return Law(f"banana-{d}", d, log_prob, sample)


def funnel(d: int, scale: float = 1.0) -> Law:
    """Return Neal's funnel:  x_1 ~ N(0, s^2),  x_j ~ N(0, exp(x_1))."""

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        x = x.double()
        first, rest = x[:, 0], x[:, 1:]
        of_first = -first.square() / (2 * scale**2) - math.log(scale) - (d - 1) / 2 * first
        return of_first - rest.square().sum(1) / (2 * first.exp()) - d / 2 * math.log(2 * math.pi)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        x = torch.randn(n, d, generator=draw, dtype=torch.float64)
        x[:, 0] *= scale
        x[:, 1:] *= (x[:, :1] / 2).exp()
        return x

    return Law(f"funnel-{d}", d, log_prob, sample)


def shell(d: int, radius: float = 3.0, scale: float = 0.3) -> Law:
    """Return a uniform direction times a radius of law N(r, s^2), above zero."""
    area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        size = x.double().norm(dim=1)
        line = -((size - radius) / scale).square() / 2 - math.log(scale * math.sqrt(2 * math.pi))
        return line - area - (d - 1) * size.log()

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        way = torch.randn(n, d, generator=draw, dtype=torch.float64)
        size = radius + scale * torch.randn(n, 1, generator=draw, dtype=torch.float64)
        # Zero is ten standard deviations away, so that negative radii do not occur.
        return size * way / way.norm(dim=1, keepdim=True)

    return Law(f"shell-{d}", d, log_prob, sample)


def parity(d: int, scale: float = 0.4) -> Law:
    """Return Gaussians at the corners s of the cube {-1, 1}^d with prod s = 1.

    p(x) = prod_j (a_j + b_j)/2 (1 + prod_j tanh(x_j/s^2)),  a, b = N(x_j; +-1, s^2).
    """

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        x = x.double()
        both = torch.stack([-((x - 1) / scale).square() / 2, -((x + 1) / scale).square() / 2])
        each = both.logsumexp(0) - math.log(2 * scale * math.sqrt(2 * math.pi))
        # 1 + prod tanh is tiny between corners of different parity, but never exactly zero.
        way = (x / scale**2).tanh().prod(1).clamp(min=-1 + 1e-15)
        return each.sum(1) + torch.log1p(way)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        signs = 2.0 * torch.randint(2, (n, d), generator=draw).double() - 1
        signs[:, -1] = signs[:, :-1].prod(1)
        return signs + scale * torch.randn(n, d, generator=draw, dtype=torch.float64)

    return Law(f"parity-{d}", d, log_prob, sample)


def student(d: int, freedom: int = 5) -> Law:
    """Return the multivariate Student law  Z sqrt(v/chi^2_v)."""
    v = float(freedom)
    constant = math.lgamma((v + d) / 2) - math.lgamma(v / 2) - d / 2 * math.log(v * math.pi)

    def log_prob(x: Tensor) -> Tensor:
        """Return the log-density, ``(n,)``."""
        return constant - (v + d) / 2 * torch.log1p(x.double().square().sum(1) / v)

    def sample(n: int, draw: torch.Generator) -> Tensor:
        """Return samples, ``(n, d)``."""
        z = torch.randn(n, d, generator=draw, dtype=torch.float64)
        chi = torch.randn(n, freedom, generator=draw, dtype=torch.float64).square().sum(1)
        return z * (v / chi).sqrt()[:, None]

    return Law(f"student-{d}", d, log_prob, sample)


@functools.cache
def _rotated(d: int, k: int, least: float, most: float, seed: int) -> Tensor:
    """Return k Cholesky factors of rotated covariances with these standard deviations."""
    draw = torch.Generator().manual_seed(seed)
    factors = []
    for _ in range(k):
        way, _ = torch.linalg.qr(torch.randn(d, d, generator=draw, dtype=torch.float64))
        spread = torch.linspace(math.log(least), math.log(most), d).double().exp().square()
        factors.append(torch.linalg.cholesky((way * spread) @ way.T))
    return torch.stack(factors)
