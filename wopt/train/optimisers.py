"""The optimisers of the inner solver on mini-batches: Adam, and Muon for matrices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.adam import adam

_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic a s + b s^3 + c s^5, which lifts singular values s to 0.7 to 1.2."""

_WIDE = 1.5
"""Ratio of width to height above which a matrix is treated through its Gram matrix."""

_LEAST = 1e-10
_LEAST_MEAN = 1e-30
"""Entries below these are set to zero: as fractions of a matrix norm, and in the mean of gradients.

The mean of a unit without gradients decays for ever, and arithmetic on subnormal numbers is slow.
"""


class AdamOptimizer:
    """Moves parameters as ``torch.optim.AdamW`` does, to the bit.

    ``torch.optim.Optimizer`` imports ``torch._dynamo`` when it is first used, which takes longer
    than a short training.

    Source: Loshchilov, Hutter, *Decoupled weight decay regularization*, 2019.

    Args:
        param_groups: Tables of ``params``, ``lr`` and ``weight_decay``.
        fused: Whether one kernel moves all parameters, which rounds otherwise.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, -0.1])
        >>> AdamOptimizer([{"params": [w], "lr": 0.1, "weight_decay": 0.0}]).step()
        >>> [round(value, 4) for value in w.tolist()]
        [-0.1, 0.1]
    """

    def __init__(self, param_groups: list[dict[str, Any]], *, fused: bool = True) -> None:
        self.param_groups, self.fused = param_groups, fused
        self.state: dict[Tensor, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            for p in moved:
                if p not in self.state:
                    count = torch.zeros((), device=p.device)
                    self.state[p] = torch.zeros_like(p), torch.zeros_like(p), count
            means, squares, counts = ([self.state[p][k] for p in moved] for k in range(3))
            adam(
                moved, [p.grad for p in moved if p.grad is not None], means, squares, [], counts,
                foreach=False, fused=self.fused, amsgrad=False, beta1=0.9, beta2=0.999,
                lr=group["lr"], weight_decay=group["weight_decay"], eps=1e-8, maximize=False,
                decoupled_weight_decay=True,
            )  # fmt: skip


class MuonOptimizer:
    """Moves matrices W by  -rate sqrt(max(1, rows/columns)) orthogonalise(momentum).

    The steps equal those of ``torch.optim.Muon`` up to rounding. That one works in bfloat16, one
    matrix after the other, which is slow on a CPU; this one works in the matrices' own precision,
    on those of one shape at once and on wide ones through their Gram matrix.

    Source: Jordan et al., *Muon: An optimizer for hidden layers in neural networks*, 2024.

    Args:
        matrices: The parameters, each of shape ``(rows, columns)``.
        lr: Learning rate.
        momentum: Decay of the mean of gradients (Nesterov's form).
        weight_decay: Matrices shrink by ``lr * weight_decay`` a step.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2, 2))
        >>> w.grad = torch.tensor([[3.0, 0.0], [0.0, 0.1]])
        >>> MuonOptimizer([w], lr=0.1).step()
        >>> bool(((-w.detach().diagonal() - 0.1).abs() < 0.04).all())
        True
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [{"params": list(matrices), **settings}]
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    @torch.no_grad()
    def step(self) -> None:
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[torch.Size, torch.device], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape, p.device].append(p)
            for parameters in by_shape.values():
                self._move(parameters, group["lr"], group["momentum"], group["weight_decay"])

    def _move(self, parameters: list[Tensor], rate: float, momentum: float, decay: float) -> None:
        gradients = torch.stack([p.grad for p in parameters if p.grad is not None])
        means = torch.stack(
            [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        ).lerp_(gradients, 1 - momentum)
        means = F.hardshrink(means, _LEAST_MEAN)
        for p, mean in zip(parameters, means, strict=True):
            self.state[p]["momentum"].copy_(mean)
        step = orthogonalise(gradients.lerp_(means, momentum))
        rows, columns = parameters[0].shape
        length = rate * max(1.0, rows / columns) ** 0.5
        for p, direction in zip(parameters, step, strict=True):
            p.mul_(1 - rate * decay).sub_(direction, alpha=length)


def orthogonalise(m: Tensor) -> Tensor:
    """Return approximately U V^T of M = U S V^T, shape ``(k, rows, columns)``.

    Singular values s of M go to 0.7 to 1.2, except those far below the norm of M, by five steps of
    the Newton-Schulz iteration X <- (a + b X X^T + c (X X^T)^2) X. Where X is wide, G = X X^T is
    iterated instead of X.

    Args:
        m: Matrices, shape ``(k, rows, columns)``.
    """
    if m.shape[1] > m.shape[2]:
        return orthogonalise(m.mT).mT
    x = F.hardshrink(m / (torch.linalg.matrix_norm(m, keepdim=True) + 1e-7), _LEAST)
    if m.shape[2] <= _WIDE * m.shape[1]:
        for _ in range(_STEPS):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
        return x
    gram = x @ x.mT
    product: Any = None
    for left in reversed(range(_STEPS)):
        factor = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        factor.diagonal(dim1=1, dim2=2).add_(_A)
        product = factor if product is None else factor @ product
        if left:
            gram = factor @ gram @ factor
    return product @ x


_SMALL = 16
"""Matrices with a side of at most this are left to Adam."""


def matrices_of(block: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return a block's matrices, shape ``(m, k)``, for Muon, and its other parameters."""
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])
    for p in block.parameters():
        groups[0 if p.ndim == 2 and min(p.shape) > _SMALL else 1].append(p)
    return groups


def adam_and_muon(
    block: nn.Module, rate: float, matrix_rate: float | None = None, decay: float = 0.0
) -> list[AdamOptimizer | MuonOptimizer]:
    """Return the optimisers that together update a block's parameters.

    Muon moves every direction of a matrix at one speed, however small its gradient, so sharp
    features are learned early.

    Source: Jordan et al., *Muon: An optimizer for hidden layers in neural networks*, 2024;
    Loshchilov, Hutter, *Decoupled weight decay regularization*, 2019.
    """
    if matrix_rate is None:
        return [_adam(list(block.parameters()), rate, decay)]
    matrices, rest = matrices_of(block)
    optimisers: list[AdamOptimizer | MuonOptimizer] = []
    if rest:
        optimisers.append(_adam(rest, rate, decay))
    if matrices:
        optimisers.append(MuonOptimizer(matrices, lr=matrix_rate, weight_decay=decay))
    return optimisers


def _adam(parameters: list[Tensor], rate: float, decay: float) -> AdamOptimizer:
    several, single = ([p for p in parameters if (p.ndim > 1) == k] for k in (True, False))
    groups = ((several, decay), (single, 0.0))
    return AdamOptimizer(
        [{"params": of, "lr": rate, "weight_decay": by} for of, by in groups if of]
    )
