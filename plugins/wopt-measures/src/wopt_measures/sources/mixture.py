"""The source ``mixture``: a mixture of Gaussians."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt import Dataset, Source
from wopt.data import Preprocess, assemble, draw_splits
from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.options import Covariances, Means, Scales, Size, Weights


class MixtureSource(Source):
    """Samples of the mixture  sum_k w_k N(m_k, S_k), whose density is known.

    The entropy is an estimate from samples of a fixed seed, the same for every seed of the data, by
    :meth:`MixtureLaw.entropy <wopt_measures.laws.mixture.MixtureLaw.entropy>`, which also gives its
    standard error: 0 for components that do not overlap.

    Raises:
        ConfigError: The lengths disagree, scale and covariances are both given, or a covariance
            is not symmetric positive definite.

    Example:
        >>> data = MixtureSource(means=[[-9.0], [9.0]], scale=1.0, n_train=100).load(seed=0)
        >>> round(data.entropy, 4)  # log(2 pi e)/2 + log 2
        2.1121
    """

    cites = ()
    example: ClassVar[dict[str, Any]] = {"means": [[-1.0, 0.0], [1.0, 0.0]]}

    def __init__(
        self,
        means: Means,
        scale: Scales = 1.0,
        covariances: Covariances = None,
        weights: Weights = None,
        n_train: Size = 10_000,
        n_valid: Size = 2_000,
        n_test: Size = 10_000,
        preprocess: Preprocess = "whiten",
    ) -> None:
        self.law = MixtureLaw.make(means, scale, covariances, weights)
        self.sizes = (n_train, n_valid, n_test)
        self.preprocess = preprocess

    def load(self, seed: int) -> Dataset:
        """Return the samples, the same for the same seed."""
        law = self.law
        splits, entropy = draw_splits(self._draw, self.sizes, seed), law.entropy().value
        return assemble(splits, self.preprocess, None, law.log_prob, entropy, self._draw)

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.law.sample(n, self.law.dim, rng)
