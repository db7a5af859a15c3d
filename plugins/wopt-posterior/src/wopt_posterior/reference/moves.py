"""Metropolis steps and trajectories of many chains, by proposals that other chains shape."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces import Target

LogDensity = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points ``(n, d)`` to a log-density up to a constant, ``(n,)``, and its gradient."""

EMPTY = 1e30
"""Potential that stands for infinity where a density is zero, as energies have to be finite."""

_SCALES = math.log(0.01), math.log(1.5)
"""Logarithms of the least and greatest scale of proposals, drawn anew for each chain and step."""
_FROM_MODE_TO_MODE = 0.2
"""Fraction of proposals by differences that are of full length."""
_LEAPS = 30
"""Number of leapfrog steps of a trajectory."""


@torch.no_grad()
def move(
    density: LogDensity, x: Tensor, others: Tensor, rng: torch.Generator, steps: int = 1
) -> Tensor:
    """Return the points after steps that leave exp(density) invariant, shape ``(n, d)``.

    A step is a Langevin step, preconditioned by the covariance of other chains, and then a step by
    the difference of two of them, which also leads from mode to mode. Nothing is adapted to the
    chains that move, so each step is exact. A proposal whose density is not finite is rejected.

    Args:
        x: The chains, shape ``(n, d)``.
        others: Other chains, shape ``(m, d)``, m at least 3.

    Source: Roberts, Tweedie, *Exponential convergence of Langevin distributions*, 1996; ter Braak,
    *A Markov chain Monte Carlo version of the genetic algorithm differential evolution*, 2006.

    Example:
        >>> x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> moved = move(lambda x: (-x.square().sum(1) / 2, -x), x, x[:100],
        ...     torch.Generator().manual_seed(1), steps=10)
        >>> abs(float(moved.std()) - 1) < 0.05, bool((moved != x).double().mean() > 0.9)
        (True, True)
    """
    root = _root(others)
    value, slope = density(x)
    for _ in range(steps):
        x, value, slope = _langevin(density, x, value, slope, root, rng)
        x, value, slope = _difference(density, x, value, slope, others, rng)
    return x


@torch.no_grad()
def trajectory(
    density: LogDensity, x: Tensor, others: Tensor, size: float, rng: torch.Generator
) -> tuple[Tensor, float]:
    """Return the points after a Hamiltonian trajectory, shape ``(n, d)``, and how many moved.

    Momenta are N(0, C^-1), C the covariance of other chains, so that a step has one length in all
    directions. It is exponentially distributed, so that some trajectories are long and others enter
    what is narrow. They leave exp(density) invariant, and go along arms where other steps diffuse.

    Args:
        x: The chains, shape ``(n, d)``.
        others: Other chains, shape ``(m, d)``.
        size: Mean length of a leapfrog step, in deviations of the other chains.

    Source: Neal, *MCMC using Hamiltonian dynamics*, 2011; Bou-Rabee, Sanz-Serna, *Randomized
    Hamiltonian Monte Carlo*, 2017.

    Example:
        >>> x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> moved, taken = trajectory(lambda x: (-x.square().sum(1) / 2, -x), x, x[:100], 0.2,
        ...     torch.Generator().manual_seed(1))
        >>> abs(float(moved.std()) - 1) < 0.05, taken > 0.9
        (True, True)
    """
    root = _root(others)
    value, slope = there, slope_there = density(x)
    to, momentum = x, _normal(x, rng)
    energy = value - momentum.square().sum(1) / 2
    step = -size * torch.rand(len(x), 1, generator=rng, dtype=x.dtype, device=x.device).log()
    for _ in range(_LEAPS):
        momentum = momentum + step / 2 * slope_there @ root
        to = to + step * momentum @ root.T
        there, slope_there = density(to)
        momentum = momentum + step / 2 * slope_there @ root
    log_ratio = there - momentum.square().sum(1) / 2 - energy
    moved, _, _ = _taken(log_ratio, rng, (x, value, slope), (to, there, slope_there))
    return moved, float((moved != x).any(1).double().mean())


def _langevin(
    density: LogDensity,
    x: Tensor,
    value: Tensor,
    slope: Tensor,
    root: Tensor,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the chains after  x + h^2 C g / 2 + h C^(1/2) z,  h drawn for each."""
    h = _scale(x, x.shape[1] ** (-1 / 6), rng)
    noise = _normal(x, rng)
    to = x + h * (noise + h * slope @ root / 2) @ root.T
    there, slope_there = density(to)
    # The noise that the reverse move would need.
    back = noise + h * (slope + slope_there) @ root / 2
    log_ratio = there - value + (noise.square() - back.square()).sum(1) / 2
    return _taken(log_ratio, rng, (x, value, slope), (to, there, slope_there))


def _difference(
    density: LogDensity,
    x: Tensor,
    value: Tensor,
    slope: Tensor,
    others: Tensor,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the chains after  x + g (a - b),  a and b other chains."""
    n, m, where = len(x), len(others), rng.device
    a = torch.randint(m, (n,), generator=rng, device=where)
    b = (a + torch.randint(1, m, (n,), generator=rng, device=where)) % m
    gain = _scale(x, 2.4 / math.sqrt(2 * x.shape[1]), rng)
    whole = torch.rand(n, 1, generator=rng, device=where) < _FROM_MODE_TO_MODE
    gain = torch.where(whole, 1.0, gain)
    to = x + gain * (others[a] - others[b])
    there, slope_there = density(to)
    return _taken(there - value, rng, (x, value, slope), (to, there, slope_there))


def _taken(
    log_ratio: Tensor,
    rng: torch.Generator,
    old: tuple[Tensor, Tensor, Tensor],
    new: tuple[Tensor, Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the new state where it is accepted, and the old one elsewhere."""
    u = torch.rand(log_ratio.shape, generator=rng, device=rng.device)
    good = (u.log() < log_ratio) & new[1].isfinite() & new[2].isfinite().all(1)  # not for NaN
    x, value, slope = old
    return (
        torch.where(good[:, None], new[0], x),
        torch.where(good, new[1], value),
        torch.where(good[:, None], new[2], slope),
    )


def _root(x: Tensor) -> Tensor:
    """Return a root of the covariance, never singular."""
    covariance = torch.atleast_2d(torch.cov(x.T))
    least = 1e-9 * covariance.diagonal().mean().clamp_min(1e-300)
    return torch.linalg.cholesky(covariance + least * torch.eye(x.shape[1]).to(x))


def _scale(x: Tensor, factor: float, rng: torch.Generator) -> Tensor:
    low, high = _SCALES
    fraction = torch.rand(len(x), 1, generator=rng, dtype=x.dtype, device=x.device)
    return factor * torch.exp(low + (high - low) * fraction)


def _normal(x: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)


def height_of(target: Target) -> Callable[[Tensor], Tensor]:
    """Return -V alone, points ``(n, d)`` to ``(n,)``, nats; -infinity as by :func:`density_of`."""
    return lambda x: _height(target.potential(x))


def density_of(target: Target) -> LogDensity:
    """Return -V and its gradient; -V is -infinity where V is not finite, or :data:`EMPTY`."""

    def density(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return -V, shape ``(n,)``, and its gradient, ``(n, d)``."""
        with torch.enable_grad():
            points = x.detach().requires_grad_()
            potential = target.potential(points)
            (slope,) = torch.autograd.grad(-potential.sum(), points)
        return _height(potential.detach()), slope

    return density


def _height(potential: Tensor) -> Tensor:
    return torch.where(potential.isfinite() & (potential < EMPTY), -potential, -torch.inf)
