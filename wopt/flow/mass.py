"""Log-probabilities of discrete values under a flow trained on them with noise."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.flow.flow import Flow

__all__ = ["DRAWS", "log_mass_bound"]

DRAWS = 16
"""Number of draws of the noise at each row."""


@torch.no_grad()
def log_mass_bound(
    flow: Flow, x: Tensor, *, draws: int = DRAWS, seed: int = 0, audit: bool = False
) -> Tensor:
    """Estimate a lower bound of the log-probability of each row, shape ``(n,)``, nats.

        E log p(x + u) <= log E p(x + u) = log P(x) - log (volume of the cell),  u uniform on it,

    by Jensen's inequality. The cells of integers and categories have volume one. Continuous columns
    contribute their density. For a flow without discrete columns this is the log-density.

    Args:
        flow: The flow.
        x: Rows in the data's units, shape ``(n, d)``.
        draws: Draws of u at each row.
        seed: Seed of the draws.
        audit: As for :meth:`Flow.log_prob <wopt.flow.flow.Flow.log_prob>`.

    Source: Theis, van den Oord and Bethge (2016), A note on the evaluation of generative models.
    """
    if flow.columns is None or not flow.columns.discrete:
        return flow.log_prob(x, audit=audit)
    rng = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(x), dtype=torch.float64)
    for _ in range(draws):
        total += flow.log_prob(flow.columns.jitter(x, rng), audit=audit).double().cpu()
    return total / draws
