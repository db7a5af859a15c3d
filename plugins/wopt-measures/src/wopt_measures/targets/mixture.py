"""The target ``mixture``."""

from __future__ import annotations

from typing import Any, ClassVar

from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.options import Covariances, Means, Scales, Weights


class MixtureTarget(MixtureLaw):
    """The mixture  sum_k w_k N(m_k, S_k):  V(x) = -log sum_k w_k N(x; m_k, S_k).

    With one covariance for all, ``convexity`` is a lower bound, 1/s^2 - R^2/s^4 for S = s^2 I
    (:attr:`MixtureLaw.convexity <wopt_measures.laws.mixture.MixtureLaw.convexity>`); it is
    negative where the modes are far apart. With unlike covariances it is ``None``.

    Raises:
        ConfigError: The lengths disagree, scale and covariances are both given, or a covariance
            is not symmetric positive definite.
        DataError: Points have another dimension.

    Example:
        >>> import torch
        >>> target = MixtureTarget(means=[[-2.0], [2.0]])
        >>> target.convexity
        -3.0
        >>> [round(v, 6) for v in target.potential(torch.tensor([[0.0]]).double()).tolist()]
        [2.918939]
    """

    cites: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[dict[str, Any]] = {"means": [[-1.0, 0.0], [1.0, 0.0]]}

    def __init__(
        self,
        means: Means,
        scale: Scales = 1.0,
        covariances: Covariances = None,
        weights: Weights = None,
    ) -> None:
        law = MixtureLaw.make(means, scale, covariances, weights)
        super().__init__(law.weights, law.parts)
