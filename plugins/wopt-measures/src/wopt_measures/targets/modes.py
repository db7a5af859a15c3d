"""Mixtures for tests of samplers: modes on a circle, and at random positions."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from wopt_measures.targets.mixture import MixtureTarget

Components = Annotated[int, Field(ge=1, description="number of components, of equal weight")]
Variance = Annotated[float, Field(gt=0, description="variance of every coordinate of a component")]


class CircleTarget(MixtureTarget):
    """Equal Gaussians on a circle:  V(x) = -log (1/K) sum_k N(x; m_k, s^2 I).

    The means are  m_k = c + r (cos, sin)(2 pi k/K),  k = 0, ..., K - 1. By default the eight modes
    of the source, s^2 = 0.01 around (-1, 0); its narrower ones have s^2 = 0.005. As the circle's
    centre is not that of the usual start N(0, I), a plain descent does not reach the modes with
    equal weights.

    Source: Hertrich, Gruhlke, *Importance corrected neural JKO sampling*, 2025.

    Raises:
        DataError: Points do not have dimension two.

    Example:
        >>> target = CircleTarget(variance=0.005)
        >>> x = target.sample(1000, 2, torch.Generator().manual_seed(0))
        >>> weights, posterior = target.components(x)
        >>> weights.tolist() == [0.125] * 8, bool((posterior.mean(0) - weights).abs().max() < 0.05)
        (True, True)
    """

    cites: ClassVar[tuple[str, ...]] = ("hertrich2025",)
    example: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        components: Components = 8,
        variance: Variance = 0.01,
        radius: Annotated[float, Field(gt=0, description="radius of the circle")] = 1.0,
        centre: Annotated[tuple[float, float], Field(description="the centre, two coordinates")] = (
            -1.0,
            0.0,
        ),
    ) -> None:
        angles = [2 * math.pi * k / components for k in range(components)]
        means = [
            [centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)] for a in angles
        ]
        super().__init__(means, math.sqrt(variance))


class RandomMixtureTarget(MixtureTarget):
    """Equal Gaussians at random positions:  V(x) = -log (1/K) sum_k N(x; m_k, s^2 I).

    The means, uniform in [-span, span]^d, are drawn by ``seed``, which is the target's own and not
    the run's, so that a configuration determines the target. By default the parameters are those of
    the sampling problem of the first source, with other means of the same law; ``span = 5``,
    ``variance = 1`` are those of the convergence to equilibrium of the second.

    Source: Hertrich, Gruhlke, *Importance corrected neural JKO sampling*, 2025; Mokrov et al.,
    *Large-Scale Wasserstein Gradient Flows*, 2021.

    Raises:
        DataError: Points have another dimension.

    Example:
        >>> target = RandomMixtureTarget(dim=20)
        >>> target.dim, len(target.parts), bool(target.parts[0].mean.abs().max() < 1)
        (20, 10, True)
    """

    cites: ClassVar[tuple[str, ...]] = ("hertrich2025", "mokrov2021")
    example: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        dim: Annotated[int, Field(ge=1, description="the dimension d")] = 10,
        components: Components = 10,
        variance: Variance = 0.01,
        seed: Annotated[int, Field(ge=0, description="seed of the means")] = 0,
        span: Annotated[float, Field(gt=0, description="half the side of the means' cube")] = 1.0,
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        means = 2 * torch.rand(components, dim, generator=rng, dtype=torch.float64) - 1
        super().__init__((span * means).tolist(), math.sqrt(variance))
