"""The law from which sampling starts: modes of the target at their own widths, and a wide law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["StartingMixture"]


class StartingMixture:
    """A mixture of normal laws.

    Args:
        means: Shape ``(k, d)``.
        roots: Roots A of the covariances A A^T, shape ``(k, d, d)``.
        weights: Shape ``(k,)``, positive.

    Example:
        >>> law = StartingMixture(torch.zeros(1, 2), torch.eye(2)[None], torch.ones(1))
        >>> value, slope = law(torch.ones(1, 2))
        >>> round(float(value + 1 + math.log(2 * math.pi)), 6), slope.tolist()
        (0.0, [[-1.0, -1.0]])
    """

    def __init__(self, means: Tensor, roots: Tensor, weights: Tensor) -> None:
        self.means, self.roots, self.weights = means, roots, weights / weights.sum()
        self._back = torch.linalg.inv(roots)
        self._constant = self.weights.log() - torch.linalg.slogdet(roots)[1]
        self._constant -= means.shape[1] / 2 * math.log(2 * math.pi)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-density, shape ``(n,)``, and its gradient, ``(n, d)``, at ``(n, d)``."""
        away = (x - self.means[:, None]) @ self._back.mT
        parts = self._constant[:, None] - away.square().sum(2) / 2
        slope = -(parts.softmax(0)[:, :, None] * (away @ self._back)).sum(0)
        return parts.logsumexp(0), slope

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Return draws, shape ``(count, d)``, of each component in proportion to its weight."""
        levels = (torch.arange(count) + torch.rand((), generator=rng)) / count
        k = torch.searchsorted(self.weights.cumsum(0), levels.to(self.weights))
        k = k.clamp_max(len(self.weights) - 1)
        z = torch.randn(count, self.means.shape[1], generator=rng, dtype=self.means.dtype)
        return self.means[k] + (self.roots[k] @ z[:, :, None])[:, :, 0]
