"""Comparison of a model with chains: how much of the target its own draws miss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock

__all__ = ["log_density_at", "seen_by_chains"]

_ERRORS = 3.0
"""Standard errors of the divergence that are tolerated."""
_PER_CHAIN = 4.0
"""Chains that count as one independent draw, as they began at few resampled points."""


def log_density_at(
    start: Callable[[Tensor], Tensor], blocks: Sequence[FlowBlock], y: Tensor
) -> Tensor:
    """Return the model's log-density at points, shape ``(n,)``, nats.

    Args:
        start: The log-density of the law that the blocks carry, ``(n, d)`` to ``(n,)``.
        blocks: In the order in which they carry it.
        y: The points, shape ``(n, d)``.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> x, start = torch.ones(1, 1), lambda x: -x[:, 0].square() / 2
        >>> log_density_at(start, [AffineBlock(1)], x).item()
        -0.5
    """
    total = y.new_zeros(len(y))
    for block in reversed(blocks):
        back = block.differentiable_inverse if torch.is_grad_enabled() else block.inverse
        y, log_det = back(y)
        total = total + log_det
    return total + start(y)


def seen_by_chains(of_chains: Tensor, of_draws: Tensor) -> float:
    """Return exp(-KL(p | q)) as estimated at chains, an upper bound of the relative effective size.

    As KL(p | q) = E_p log w - log Z <= log(1 + chi^2) = -log(relative effective size of weights w),
    a value below that size says that chains are where the model's draws are not.

    Args:
        of_chains: -V - log q at the chains, shape ``(m,)``, nats.
        of_draws: The same at draws of the model, shape ``(n,)``, nats.

    Source: van Erven, Harremoes, *Renyi divergence and Kullback-Leibler divergence*, 2014.

    Example:
        >>> seen_by_chains(torch.zeros(100), torch.zeros(500))
        1.0
        >>> seen_by_chains(2 * torch.ones(100), torch.zeros(500)) < 0.2
        True
    """
    log_z = float(of_draws.logsumexp(0)) - math.log(len(of_draws))
    if not bool(of_chains.isfinite().all()) or not math.isfinite(log_z):
        return 0.0
    error = float(of_chains.std()) * math.sqrt(_PER_CHAIN / len(of_chains))
    return math.exp(-max(0.0, float(of_chains.mean()) - log_z - _ERRORS * error))
