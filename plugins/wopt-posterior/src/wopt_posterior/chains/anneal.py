"""A population of a target, found by annealing from a wide normal law."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt_posterior.chains.moves import Density, move

__all__ = ["annealed_chains", "density_of"]

_WIDER, _SPREAD = 2.0, 5.0
"""Standard deviation of the first law: a factor on that of the model, and a term added."""
_LEVELS, _STEPS = 80, 12
_EVEN = 0.8
"""Relative effective size of the weights from one temperature to the next."""


@torch.no_grad()
def annealed_chains(target: Target, near: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return points that follow exp(-V), nearly, by a sequential sampler, shape ``(count, d)``.

    From N(m, 4 C + 25 I), m and C the moments of what is known, through  f^b g^(1 - b)  with b from
    0 to 1: at each temperature points are drawn again by their weights and make Metropolis steps.
    As arms, tails and modes are still joined where b is small, all receive their share of points.
    A mode narrow and far away can be missed.

    Args:
        target: A law known by its potential V.
        near: Draws of a first model, shape ``(n, d)``.
        count: Number of points.
        rng: Random numbers.

    Source: Del Moral, Doucet, Jasra, *Sequential Monte Carlo samplers*, 2006.

    Example:
        >>> import wopt
        >>> two = wopt.build("target", {"name": "mixture", "means": [[-6.0, 0.0], [6.0, 0.0]]})
        >>> rng = torch.Generator().manual_seed(0)
        >>> near = torch.randn(500, 2, generator=rng).double() + torch.tensor([6.0, 0.0])
        >>> x = annealed_chains(two, near, 500, rng)
        >>> abs(float((x[:, 0] > 0).double().mean()) - 0.5) < 0.15
        True
    """
    mean, d = near.mean(0), near.shape[1]
    wide = _WIDER**2 * torch.atleast_2d(torch.cov(near.T)) + _SPREAD**2 * torch.eye(d).to(near)
    root = torch.linalg.cholesky(wide)
    noise = torch.randn(count, d, generator=rng, dtype=near.dtype, device=near.device)
    x = mean + noise @ root.T
    ends, precision = density_of(target), torch.cholesky_inverse(root)

    def first(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-density, shape ``(n,)``, and score, ``(n, d)``, of the first law."""
        slope = -(x - mean) @ precision
        return ((x - mean) * slope).sum(1) / 2, slope

    b = 0.0
    for level in range(_LEVELS):
        gain = ends(x)[0] - first(x)[0]
        gain = torch.where(gain.isfinite(), gain, -torch.inf)
        least = b ** (1 - 1 / (_LEVELS - level))  # so that it ends, by equal factors
        after = max(least, _next(gain, b))
        x = x[_drawn_again(((after - b) * gain).softmax(0), rng)]
        b = after
        half = count // 2
        law = _between(first, ends, b)
        for _ in range(_STEPS):  # each half by proposals that the other shapes
            left = move(law, x[:half], x[half:], rng)
            x = torch.cat([left, move(law, x[half:], left, rng)])
        x = x[torch.randperm(count, generator=rng, device=x.device)]
        if b >= 1:
            break
    return x


def density_of(target: Target) -> Density:
    """Return -V, shape ``(n,)``, and its gradient, ``(n, d)``; -infinity where V is not finite."""

    def density(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return -V, shape ``(n,)``, and its gradient, ``(n, d)``."""
        with torch.enable_grad():
            points = x.detach().requires_grad_()
            value = -target.potential(points)
            (slope,) = torch.autograd.grad(value.sum(), points)
        value = value.detach()
        return torch.where(value.isfinite(), value, -torch.inf), slope

    return density


def _between(first: Density, last: Density, b: float) -> Density:
    def density(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tempered log-density, shape ``(n,)``, and its gradient, ``(n, d)``."""
        (f, df), (g, dg) = last(x), first(x)
        return b * f + (1 - b) * g, b * df + (1 - b) * dg

    return density


def _next(gain: Tensor, b: float) -> float:
    """Return the largest temperature at which weights are still even enough, by bisection."""

    def even(after: float) -> bool:
        w = ((after - b) * gain).softmax(0)
        return float(1 / w.square().sum()) >= _EVEN * len(w)

    if even(1.0):
        return 1.0
    low, high = b, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if even(middle) else (low, middle)
    return low


def _drawn_again(w: Tensor, rng: torch.Generator) -> Tensor:
    """Return indices drawn by weights, systematically."""
    first = torch.rand((), generator=rng, device=w.device)
    levels = (torch.arange(len(w), device=w.device) + first) / len(w)
    return torch.searchsorted(w.cumsum(0), levels.to(w)).clamp_max(len(w) - 1)
