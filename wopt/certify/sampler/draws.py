"""Draws of a push-forward model with the density of the very map that made them."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.push import in_batches

__all__ = ["audited_draws"]


@torch.no_grad()
def audited_draws(flow: Flow, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return n draws of a push-forward model and their log-density, both by the audited maps.

    A coarse map has a false log_det, and importance weights are its exponential: so the finer map
    moves the draws, and its own log_det tells their density.

    Args:
        flow: A model that pushes a start of known density forward.
        n: How many.
        seed: Of the draws.

    Returns:
        Points, shape ``(n, d)``, and log q, shape ``(n,)``, both float64 on the CPU.

    Raises:
        CapabilityError: The model is no push-forward of a start whose density is known.
    """
    if flow.direction != "push_forward" or flow.start is None:
        raise CapabilityError(
            "importance weights need a model whose draws have a known density and that aims at "
            "a target known by its potential: a push_forward model. This one is the target pulled "
            "back to data, and the density of the data is not known"
        )
    x = flow.start.sample(n, torch.Generator().manual_seed(seed))
    y, log_det = in_batches(lambda rows: flow(rows, audit=True), x)
    log_q = flow.start.log_density(x.double().cpu()) - log_det.double().cpu()
    return y.double().cpu(), log_q
