"""Training that keeps the best state: of free steps and of test fields."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["train"]

_CHECKS = 10
"""Evaluations of the held-out value."""
_RISE = 0.1
"""Fraction of the iterations in which the rate rises."""
_CLIP = 10.0


def train(
    net: nn.Module,
    optimisers: Sequence[Any],
    loss: Callable[[], Tensor],
    value: Callable[[], float],
    iterations: int,
) -> float:
    """Minimise a loss; keep the state of the largest held-out value, and return that value.

    The rates rise to those of the optimisers in a tenth of the iterations, and fall by a cosine to
    a hundredth. It ends early where a loss is not finite.
    """
    peaks = [(group, group["lr"]) for one in optimisers for group in one.param_groups]
    best, kept = -math.inf, copy.deepcopy(net.state_dict())
    for iteration in range(iterations + 1):
        if iteration % max(1, iterations // _CHECKS) == 0 or iteration == iterations:
            now = value()
            if now > best:
                best, kept = now, copy.deepcopy(net.state_dict())
        for group, peak in peaks:
            group["lr"] = peak * _rate(iteration / max(iterations, 1))
        if iteration == iterations or not _stepped(net, optimisers, loss):
            break
    net.load_state_dict(kept)
    return best


def _stepped(net: nn.Module, optimisers: Sequence[Any], loss: Callable[[], Tensor]) -> bool:
    """Make one iteration; return whether the loss was finite."""
    with torch.enable_grad():
        found = loss()
        if not math.isfinite(float(found.detach())):
            return False
        net.zero_grad(set_to_none=True)
        found.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
    for optimiser in optimisers:
        optimiser.step()
    return True


def _rate(done: float) -> float:
    """Return the fraction of the peak rate."""
    if done < _RISE:
        return (done + 0.01) / (_RISE + 0.01)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE))) / 2
