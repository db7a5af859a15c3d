"""The optimisers of the inner solver on mini-batches: Adam, and Muon for matrices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wopt.train.muon import Muon

__all__ = ["adam_and_muon", "matrices_of"]

_SMALL = 16
"""Matrices with a side of at most this are left to Adam."""


def matrices_of(block: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return a block's matrices, shape ``(m, k)``, for Muon, and its other parameters.

    Example:
        >>> matrices, rest = matrices_of(nn.Linear(32, 64))
        >>> [tuple(p.shape) for p in matrices], [tuple(p.shape) for p in rest]
        ([(64, 32)], [(64,)])
    """
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])
    for p in block.parameters():
        groups[0 if p.ndim == 2 and min(p.shape) > _SMALL else 1].append(p)
    return groups


def adam_and_muon(
    block: nn.Module, rate: float, matrix_rate: float | None = None, decay: float = 0.0
) -> list[torch.optim.Optimizer]:
    """Return the optimisers that together update a block's parameters.

    Muon moves every direction of a matrix at one speed, however small its gradient, so sharp
    features are learned early.

    Source: Jordan et al., *Muon: An optimizer for hidden layers in neural networks*, 2024;
    Loshchilov, Hutter, *Decoupled weight decay regularization*, 2019.

    Args:
        block: The block.
        rate: Learning rate of Adam.
        matrix_rate: Learning rate of Muon; without it Adam has all parameters.
        decay: Weight decay of the parameters with two axes or more, which shrink by ``rate *
            decay`` an iteration.
    """
    if matrix_rate is None:
        return [_adam(list(block.parameters()), rate, decay)]
    matrices, rest = matrices_of(block)
    optimisers: list[torch.optim.Optimizer] = []
    if rest:
        optimisers.append(_adam(rest, rate, decay))
    if matrices:
        optimisers.append(Muon(matrices, lr=matrix_rate, weight_decay=decay))
    return optimisers


def _adam(parameters: list[Tensor], rate: float, decay: float) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, fused=True)
