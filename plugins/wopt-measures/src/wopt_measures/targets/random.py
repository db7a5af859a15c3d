"""Targets drawn at random by a seed of their own, as benchmarks use them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from wopt.seeds import generator
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.targets.gaussian import GaussianTarget
from wopt_measures.targets.mixture import MixtureTarget

__all__ = ["MixtureInCube", "RandomGaussian"]

Dim = Annotated[int, Field(ge=1, description="the dimension")]
Draw = Annotated[int, Field(ge=0, description="seed of the target, apart from that of the run")]


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
        source = generator(draw, "random_gaussian", dim)
        like: dict[str, Any] = {"dtype": torch.float64, "generator": source}
        mean = torch.randn(dim, **like)
        turn, _ = torch.linalg.qr(torch.randn(dim, dim, **like))
        variances = 1 + torch.rand(dim, **like)
        factor = torch.linalg.cholesky(turn @ variances.diag() @ turn.T)
        self.law = GaussianLaw(mean, factor)
        self.dim = dim
        self.convexity = float(1 / variances.max())
        self.smoothness = float(1 / variances.min())


class MixtureInCube(MixtureTarget):
    """An equal mixture of N(m_k, s^2 I) whose means are drawn from the cube [-span, span]^d.

    Source: the targets of Mokrov et al., *Large-Scale Wasserstein Gradient Flows*, 2021.

    Example:
        >>> MixtureInCube(dim=4, components=6).law.dim
        4
    """

    cites: ClassVar[tuple[str, ...]] = ("mokrov2021",)
    example: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        dim: Dim = 2,
        components: Annotated[int, Field(ge=1, description="how many components")] = 5,
        span: Annotated[float, Field(gt=0, description="half the side of the cube")] = 5.0,
        scale: Annotated[float, Field(gt=0, description="standard deviation s of each")] = 1.0,
        draw: Draw = 0,
    ) -> None:
        source = generator(draw, "mixture_in_cube", dim, components)
        means = (2 * torch.rand(components, dim, dtype=torch.float64, generator=source) - 1) * span
        super().__init__(means.tolist(), scale)
