"""Ranks among draws, and a test of their uniformity."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.seeds import generator

__all__ = ["anderson_darling", "ranks_among"]


def anderson_darling(u: Tensor) -> Tensor:
    """Return the statistic A^2 of uniformity, shape ``(...)``, of values ``(..., n)`` in [0, 1].

    Example:
        >>> even = (torch.arange(100).double() + 0.5) / 100
        >>> float(anderson_darling(even)) < 0.1 < float(anderson_darling(even**2))
        True
    """
    n = u.shape[-1]
    u = u.sort(-1)[0].clamp(1e-15, 1 - 1e-15)
    odd = 2 * torch.arange(1, n + 1, dtype=u.dtype) - 1
    return -n - (odd * (u.log() + torch.log1p(-u.flip(-1)))).sum(-1) / n


def ranks_among(value: Tensor, of_draws: Tensor, seed: int) -> Tensor:
    """Return ranks of values ``(n,)`` among draws ``(n, L)``, shape ``(n,)``, in (0, 1).

    They are randomised within a step, so that they are uniform if both have the same law.
    """
    chance = torch.rand(len(value), generator=generator(seed, "ranks"), dtype=torch.float64)
    below = (of_draws < value[:, None]).sum(1)
    ties = (of_draws == value[:, None]).sum(1)
    return (below + chance * (ties + 1)) / (of_draws.shape[1] + 1)
