"""The law from which sampling starts: modes of the target at their own widths, with wide tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class StartingMixture:
    """A mixture of equal parts: a normal law and a Cauchy law of each centre.

    The normal law keeps the mass of a narrow mode, and the Cauchy law is wide at every scale.

    Args:
        means: Shape ``(k, d)``.
        roots: Roots A of the normal laws' covariances A A^T, and of the Cauchy laws' shapes, shape
            ``(k, d, d)``.

    Example:
        >>> law = StartingMixture(torch.zeros(1, 1), torch.eye(1)[None])
        >>> value, slope = law(torch.ones(1, 1))
        >>> normal, cauchy = math.exp(-0.5) / math.sqrt(2 * math.pi), 1 / (2 * math.pi)
        >>> abs(float(value) - math.log((normal + cauchy) / 2)) < 1e-6, bool(slope < 0)
        (True, True)
    """

    def __init__(self, means: Tensor, roots: Tensor) -> None:
        self.means, self.roots = means, roots
        k, d = means.shape
        self._back = torch.linalg.inv(roots)
        scale = -torch.linalg.slogdet(roots)[1] - math.log(2 * k)
        self._normal = scale - d / 2 * math.log(2 * math.pi)
        self._cauchy = scale + math.lgamma((d + 1) / 2) - (d + 1) / 2 * math.log(math.pi)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-density, shape ``(n,)``, and its gradient, ``(n, d)``, at ``(n, d)``."""
        k, power = len(self.means), (x.shape[1] + 1) / 2
        away = (x - self.means[:, None]) @ self._back.mT
        square = away.square().sum(2)
        normal = self._normal[:, None] - square / 2
        parts = torch.cat([normal, self._cauchy[:, None] - power * square.log1p()])
        weights = parts.softmax(0)
        pull = weights[:k] + weights[k:] * 2 * power / (1 + square)
        return parts.logsumexp(0), -(pull[:, :, None] * (away @ self._back)).sum(0)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Return draws, shape ``(count, d)``, as many of each component but for one."""
        k, d = self.means.shape
        levels = (torch.arange(count) + torch.rand((), generator=rng)) / count
        of = (2 * k * levels).long().clamp_max(2 * k - 1)
        z = torch.randn(count, d + 1, generator=rng, dtype=self.means.dtype)
        wide = torch.where(of < k, 1.0, z[:, d].abs())
        drawn = (z[:, :d] @ self.roots.mT)[of % k, torch.arange(count)]
        return self.means[of % k] + drawn / wide[:, None]
