"""The target ``mixture``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.options import Covariances, Means, Scales, Weights
from wopt_measures.targets.of_law import LawTarget

__all__ = ["MixtureTarget"]


class MixtureTarget(LawTarget):
    """The mixture  sum_k w_k N(m_k, S_k):  V(x) = -log sum_k w_k N(x; m_k, S_k).

    With one covariance for all, ``convexity`` is a lower bound, 1/s^2 - R^2/s^4 for S = s^2 I
    (:attr:`MixtureLaw.convexity <wopt_measures.laws.mixture.MixtureLaw.convexity>`); it is
    negative where the modes are far apart. With unlike covariances it is ``None``.

    Raises:
        ConfigError: The lengths disagree, scale and covariances are both given, or a covariance
            is not symmetric positive definite.
        DataError: Points have another dimension.

    Example:
        >>> target = MixtureTarget(means=[[-2.0], [2.0]])
        >>> target.convexity
        -3.0
        >>> [round(v, 6) for v in target.potential(torch.tensor([[0.0]]).double()).tolist()]
        [2.918939]
    """

    cites: ClassVar[tuple[str, ...]] = ()
    law: MixtureLaw
    example: ClassVar[dict[str, Any]] = {"means": [[-1.0, 0.0], [1.0, 0.0]]}

    def __init__(
        self,
        means: Means,
        scale: Scales = 1.0,
        covariances: Covariances = None,
        weights: Weights = None,
    ) -> None:
        self.law = MixtureLaw.make(means, scale, covariances, weights)
        self.dim = self.law.dim
        self.convexity = self.law.convexity

    def components(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights w, ``(k,)``, and each component's posterior at x, ``(n, k)``."""
        return self.law.weights, self.law.posterior(x)

    def blurred(self, sigma: float) -> Callable[[Tensor], Tensor]:
        """Return the log-density, ``(n, d)`` to ``(n,)``, of the convolution with N(0, s^2 I).

        Example:
            >>> q = MixtureTarget(means=[[0.0]], scale=3**0.5).blurred(1.0)  # N(0, 4)
            >>> round(float(q(torch.zeros(1, 1).double())), 4)
            -1.6121
        """
        d = self.law.dim
        eye = torch.eye(d, dtype=torch.float64)
        parts = tuple(
            GaussianLaw(part.mean, torch.linalg.cholesky(part.covariance(d) + sigma**2 * eye))
            for part in self.law.parts
        )
        return MixtureLaw(self.law.weights, parts).log_prob
