"""The target ``random_gaussian``: a Gaussian drawn at random by its own seed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from wopt.seeds import generator
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.targets.gaussian import GaussianTarget

Dim = Annotated[int, Field(ge=1, description="the dimension")]
Draw = Annotated[int, Field(ge=0, description="seed of the target, independent of the run's")]


class RandomGaussian(GaussianTarget):
    """A Gaussian drawn at random: mean N(0, I), variances U(1, 2) along random directions.

    Source: the Ornstein-Uhlenbeck processes of Mokrov et al., *Large-Scale Wasserstein Gradient
    Flows*, 2021, whose covariances are scikit-learn's ``make_spd_matrix``.

    Example:
        >>> 0.5 < RandomGaussian(dim=3).convexity < 1
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("mokrov2021",)

    def __init__(self, dim: Dim = 2, draw: Draw = 0) -> None:
        rng = generator(draw, "random_gaussian", dim)
        like: dict[str, Any] = {"dtype": torch.float64, "generator": rng}
        mean = torch.randn(dim, **like)
        turn, _ = torch.linalg.qr(torch.randn(dim, dim, **like))
        variances = 1 + torch.rand(dim, **like)
        factor = torch.linalg.cholesky(turn @ variances.diag() @ turn.T)
        GaussianLaw.__init__(self, mean, factor)
