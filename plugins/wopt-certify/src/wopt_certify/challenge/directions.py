"""A tree density in directions that are as independent of each other as possible."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from wopt.seeds import derive
from wopt_certify.challenge.student import Student
from wopt_certify.challenge.tree import Tree

__all__ = ["TurnedTree"]

_ROUNDS = 40
_CLOSE = 1e-4


class TurnedTree:
    """p(x) = |det W| t(W^T (x - m)),  W whitens and then rotates to independent components.

    t is a tree of densities; without an informative edge it is a product of densities on lines.

    Source: Hyvarinen, *Fast and robust fixed-point algorithms for independent component
    analysis*, 1999.

    Args:
        fit: Rows, shape ``(n, d)``, d >= 2.
        hold: Rows on which bandwidths and edges are chosen, shape ``(m, d)``.
        seed: Seed of the first rotation.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> s = torch.rand(4000, 3, generator=rng, dtype=torch.float64)  # uniform on a cube
        >>> turned, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))
        >>> x = s @ turned.T
        >>> p = TurnedTree(x[:3000], x[3000:], 0)
        >>> -0.3 < float(p(x[3000:]).mean()) < 0.05  # its entropy is 0
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor, seed: int) -> None:
        fit, hold = fit.double(), hold.double()
        whole = Student.of(fit, float("inf"))
        self.mean = whole.mean
        self.factor: Tensor = whole.factor @ _rotation(whole.inside(fit), derive(seed, "turn"))
        self.log_det = whole.factor.diagonal().log().sum()
        self.tree = Tree(self._inside(fit), self._inside(hold))

    def refit(self, x: Tensor) -> TurnedTree:
        """Return the density in the same directions with its tree fitted to rows ``(n, d)``."""
        anew = copy.copy(self)
        anew.tree = self.tree.refit(self._inside(x.double()))
        return anew

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return self.log_det + self.tree(self._inside(points.double()))

    def _inside(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.factor


def _rotation(white: Tensor, seed: int) -> Tensor:
    """Return an orthogonal matrix whose columns are the components (symmetric FastICA, tanh)."""
    d = white.shape[1]
    rng = torch.Generator().manual_seed(seed)
    now = _nearest(torch.randn(d, d, generator=rng, dtype=torch.float64))
    for _ in range(_ROUNDS):
        bent = (white @ now).tanh()
        slope = (1 - bent.square()).mean(0)
        turned = _nearest(white.T @ bent / len(white) - now * slope)
        close = float((1 - (turned * now).sum(0).abs()).amax())
        now = turned
        if close < _CLOSE:
            break
    return now


def _nearest(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right
