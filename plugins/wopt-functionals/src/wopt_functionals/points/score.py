"""A target's score, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

import wopt
from wopt import Capability, CapabilityError


def target_score(target: wopt.Target, x: Tensor) -> Tensor:
    """Return the score at ``x``, shape ``(n, d)``, differentiable where ``x`` is.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> x = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
        >>> target_score(NormalTarget([0.0], [[0.5]]), x).sum().backward()
        >>> x.grad.tolist()
        [[-2.0], [-2.0]]
    """
    score = target.score(x)
    if score.requires_grad or not (x.requires_grad and torch.is_grad_enabled()):
        return score
    if Capability.POTENTIAL not in target.provides:
        raise CapabilityError(
            f"this objective needs the derivative of the target's score, and that of "
            f"{type(target).__name__} is not differentiable; compute it from x in torch, without "
            "numpy, .item() or .detach(), or give a target that provides POTENTIAL"
        )
    potential = target.potential(x)
    if not potential.requires_grad:  # a constant V
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(potential.sum(), x, create_graph=True)
    return -gradient
