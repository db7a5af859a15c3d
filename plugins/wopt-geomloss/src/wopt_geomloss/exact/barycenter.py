"""Wasserstein barycentres."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, final

from pydantic import Field

import wopt
from wopt import Capability, CapabilityError, Component, ConfigError
from wopt.component import fields
from wopt_geomloss.exact.wasserstein import Wasserstein
from wopt_geomloss.options import SampledTarget, Samples


@final
@fields
class WeightedTarget(Component):
    """One of a barycentre's targets, with its weight.

    Example:
        >>> WeightedTarget(target="gaussian", weight=2.0).weight
        2.0
    """

    target: SampledTarget
    weight: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="w_i, before normalisation")
    ] = 1.0


@final
class Barycenter(wopt.Sum):
    """The mean half squared Wasserstein distance to several targets q_i, known by samples.

        G(rho) = sum_i w_i W_2^2(rho, q_i)/2,    sum_i w_i = 1,
        grad_W G(x) = x - sum_i w_i T_i(x).

    Its minimiser is the Wasserstein barycentre of the q_i. Weights are divided by their sum. Cost,
    bias and exactness are those of ``wasserstein``, for each target.

    In one dimension it is 1-convex along generalised geodesics; in more it is not convex, but
    between Gaussians a Polyak-Lojasiewicz inequality holds. The minimum is the targets'
    Wasserstein variance, which is not known beforehand. The explicit step of size 1 is the
    fixed-point iteration of Alvarez-Esteban et al.; above 2 explicit steps are unstable.

    ```toml
    [objective]
    name = "barycenter"
    [[objective.targets]]
    target = { name = "gaussian", mean = [-2.0, 0.0] }
    [[objective.targets]]
    weight = 3.0
    target = { name = "samples", source = { name = "toy" } }
    ```

    Source: Agueh, Carlier, Barycenters in the Wasserstein space, 2011; Alvarez-Esteban et al., A
    fixed-point approach to barycenters in Wasserstein space, 2016; docs/theory 2, row 17.

    Raises:
        CapabilityError: A target cannot be sampled.
        ConfigError: Two targets have different dimensions.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> left, right = NormalTarget([0.0], [[1.0]]), NormalTarget([4.0], [[1.0]])
        >>> g = Barycenter([{"target": left, "weight": 3.0}, {"target": right}])
        >>> [weight for weight, _ in g.parts], g.convexity
        ([0.75, 0.25], 1.0)
    """

    cites = ("agueh2011", "alvarez2016", "flamary2021")
    example: ClassVar[dict[str, Any]] = {
        "targets": [
            {"target": {"name": "gaussian", "mean": -1.0}},
            {"target": {"name": "gaussian", "scale": 2.0}, "weight": 3.0},
        ],
        "samples": 100,
    }

    def __init__(
        self,
        targets: Annotated[
            list[WeightedTarget], Field(min_length=1, description="the measures to average")
        ],
        samples: Samples = 1000,
    ) -> None:
        for k, one in enumerate(targets, 1):
            if Capability.TARGET_SAMPLES not in one.target.provides:
                raise CapabilityError(
                    f"barycenter: target {k} ({type(one.target).__name__}) cannot be sampled; give "
                    "targets known by samples"
                )
        dims = sorted({one.target.dim for one in targets if one.target.dim is not None})
        if len(dims) > 1:
            raise ConfigError(
                f"barycenter: the targets have dimensions {', '.join(map(str, dims))}; they must "
                "agree"
            )
        total = sum(one.weight for one in targets)
        super().__init__(
            [(one.weight / total, Wasserstein(one.target, samples)) for one in targets]
        )
        self.minimum = 0.0 if len(targets) == 1 else None

    def largest_explicit_step(self) -> float:
        """Return 2, as for one target."""
        return 2.0
