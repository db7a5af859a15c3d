"""The score of the moved particles, pushed by the maps from a start whose score is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.jacobian import jacobians
from wopt.statistics import mean_and_error

__all__ = ["obeys_stein", "pushed_score", "score_of"]


def score_of(log_density: Callable[[Tensor], Tensor], x: Tensor) -> Tensor | None:
    """Return grad log p, shape ``(n, d)``, at rows ``(n, d)``, or ``None`` if autograd cannot.

    Example:
        >>> score_of(lambda x: -x.square().sum(1) / 2, torch.tensor([[1.0, -2.0]])).tolist()
        [[-1.0, 2.0]]
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        value = log_density(leaf)
        if not value.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    score: Tensor = gradient
    return score if bool(torch.isfinite(score).all()) else None


def obeys_stein(score: Tensor, x: Tensor) -> bool:
    """Return whether  E <s(X), X - E X> = -d  within six standard errors at draws of p.

    A density with jumps has a gradient almost everywhere that is not its score; it fails. Scores
    and draws have shape ``(n, d)``.

    Example:
        >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
        >>> obeys_stein(-x, x), obeys_stein(0 * x, x)
        (True, False)
    """
    terms = (score * (x - x.mean(0))).sum(1).double()
    estimate = mean_and_error(terms)
    return abs(estimate.value + x.shape[1]) <= 6 * estimate.error + 1e-6


def pushed_score(block: FlowBlock, x: Tensor, score: Tensor) -> Tensor:
    """Return the score of the image measure of a map, at the image points.

        s'(T x) = DT(x)^-T [ s(x) - grad log |det DT(x)| ],

    by one backward pass per dimension, through the block's own grid.

    Args:
        block: T, which provides LOG_DET.
        x: Points, shape ``(n, d)``.
        score: s at the points, shape ``(n, d)``.

    Returns:
        s', shape ``(n, d)``, float64.

    Source: docs/theory.md 4.2 (a).

    Example:
        >>> from wopt.testing import AffineBlock
        >>> block = AffineBlock(1).double()
        >>> block.matrix.data.mul_(2.0)  # N(0, 1) becomes N(0, 4)
        tensor([[2.]], dtype=torch.float64)
        >>> x = torch.tensor([[1.0]], dtype=torch.float64)
        >>> float(pushed_score(block, x, -x))
        -0.5
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        y, log_det = block(leaf)
        jacobian = jacobians(y, leaf).double()
        if log_det.requires_grad:
            (slope,) = torch.autograd.grad(
                log_det.sum(), leaf, allow_unused=True, materialize_grads=True
            )
        else:
            slope = torch.zeros_like(x)
    pushed: Tensor = torch.linalg.solve(jacobian.mT, (score.double() - slope.double())[..., None])
    return pushed[..., 0]
