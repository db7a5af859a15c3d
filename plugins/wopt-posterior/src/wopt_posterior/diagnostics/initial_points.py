"""Initial points of the search for modes: wider than the model, and annealed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["annealed_points", "overdispersed"]

_LEVELS = 20
_MOVES = 8


def overdispersed(draws: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return points wider than the model, shape ``(4 count, d)``.

    Two quarters have twice and five times the model's spread around its mean; the others are normal
    around 0 with deviations 1 and 5, the scale of a prior, since a model that collapsed onto a
    point has no spread.

    Args:
        draws: Draws of the model, shape ``(n, d)``.
        count: Rows of each kind.
        rng: Generator of the draws.
    """
    mean, sd = draws.mean(0), draws.std(0)
    parts = []
    for centre, scale in ((mean, 2 * sd), (mean, 5 * sd), (0 * mean, 1.0), (0 * mean, 5.0)):
        z = torch.randn(count, draws.shape[1], dtype=draws.dtype, generator=rng)
        parts.append(centre + scale * z)
    return torch.cat(parts)


@torch.no_grad()
def annealed_points(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    draws: Tensor,
    count: int,
    rng: torch.Generator,
) -> Tensor:
    """Return ends of annealed Langevin chains, shape ``(count, d)``, from draws ``(n, d)``.

    The chains follow  exp(-b V - (1 - b) |x - c|^2 / 2 R^2)  while b rises from 0 to 1, by the
    Metropolis-adjusted Langevin algorithm with its own step for each chain; c and R are the model's
    mean and three times its largest deviation, at least 3. Chains pass between modes while the
    target is flat, and so end in each about as often as its basin weighs.

    Source: Kirkpatrick, Gelatt, Vecchi, Optimization by simulated annealing, 1983; Roberts,
    Tweedie, Exponential convergence of Langevin distributions, 1996.
    """
    centre = draws.mean(0)
    radius = 3 * max(float(draws.std(0).max()), 1.0)
    x = centre + radius * torch.randn(count, draws.shape[1], dtype=draws.dtype, generator=rng)
    step = torch.full((count,), 0.1 * radius**2, dtype=draws.dtype)

    def at(points: Tensor, b: float) -> tuple[Tensor, Tensor]:
        """Return the annealed potential, shape ``(n,)``, and its score, shape ``(n, d)``."""
        away = points - centre
        value = b * potential(points) + (1 - b) * away.square().sum(1) / (2 * radius**2)
        slope = b * score(points) - (1 - b) * away / radius**2
        return value, slope

    for level in range(1, _LEVELS + 1):
        b = (level / _LEVELS) ** 3
        value, slope = at(x, b)
        for _ in range(_MOVES):
            noise = torch.randn(x.shape, dtype=x.dtype, generator=rng)
            h = step[:, None]
            proposed = x + h * slope / 2 + h.sqrt() * noise
            new, new_slope = at(proposed, b)
            back = (x - proposed - h * new_slope / 2).square().sum(1) / (2 * step)
            log_ratio = value - new - back + noise.square().sum(1) / 2
            u = torch.rand(count, dtype=x.dtype, generator=rng)
            accepted = torch.isfinite(new) & (u.log() < log_ratio)
            x = torch.where(accepted[:, None], proposed, x)
            value = torch.where(accepted, new, value)
            slope = torch.where(accepted[:, None], new_slope, slope)
            # An acceptance rate of 0.57 is optimal in many dimensions.
            step = step * torch.where(accepted, 1.25, 0.75)
    return x
