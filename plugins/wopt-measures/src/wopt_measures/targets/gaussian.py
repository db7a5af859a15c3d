"""The target ``gaussian``."""

from __future__ import annotations

from typing import ClassVar

from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.options import Covariance, Mean, Scale


class GaussianTarget(GaussianLaw):
    """The Gaussian N(m, S): V(x) = (x - m)^T S^-1 (x - m)/2 + log det(S)/2 + (d/2) log 2 pi.

    Standard normal by default, in any dimension. ``convexity`` is 1 over the
    largest variance, ``smoothness`` 1 over the smallest.

    Raises:
        ConfigError: The lengths disagree, scale and covariance are both given, or the covariance
            is not symmetric positive definite.
        DataError: Points have another dimension.

    Example:
        >>> import torch
        >>> target = GaussianTarget(mean=[1.0, 0.0], covariance=[[4.0, 0.0], [0.0, 1.0]])
        >>> target.convexity
        0.25
        >>> target.score(torch.tensor([[3.0, 2.0]])).tolist()
        [[-0.5, -2.0]]
    """

    cites: ClassVar[tuple[str, ...]] = ()

    def __init__(self, mean: Mean = 0.0, scale: Scale = 1.0, covariance: Covariance = None) -> None:
        law = GaussianLaw.make(mean, scale, covariance)
        super().__init__(law.mean, law.factor)
