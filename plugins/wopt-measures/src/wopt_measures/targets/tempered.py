"""A target between a wide Gaussian and another target, for annealing."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import named
from wopt.interfaces import Target


class TemperedTarget(Target):
    """The geometric mean of a target exp(-V) and a Gaussian N(0, s^2 I), with weights b and 1 - b.

        V_b(x) = b V(x) + (1 - b) |x|^2 / (2 s^2).

    As b rises from 0 to 1 the law goes from the Gaussian to the target; where b is small, modes are
    connected. Its normalising constant is unknown.

    Source: Neal, *Annealed importance sampling*, 2001.

    Raises:
        CapabilityError: The target has no potential.

    Example:
        >>> import torch, wopt
        >>> half = TemperedTarget(wopt.build("target", "gaussian"), 0.5, scale=2.0)
        >>> half.score(torch.tensor([[1.0]])), half.convexity  # precision 1/2 + 1/8
        (tensor([[-0.6250]]), 0.625)
    """

    cites = ("neal2001",)
    example: ClassVar[dict[str, Any]] = {"inverse_temperature": 0.5}

    def __init__(
        self,
        target: Annotated[Target, Field(description="the target at b = 1")] = named("gaussian"),
        inverse_temperature: Annotated[
            float, Field(gt=0, le=1, description="b, the weight of the target's potential")
        ] = 0.5,
        scale: Annotated[
            float, Field(gt=0, description="s, the standard deviation of the Gaussian at b = 0")
        ] = 3.0,
    ) -> None:
        require("a tempered target", Capability.POTENTIAL, "the target", target.provides)
        self.target, self.b, self.precision = target, inverse_temperature, 1 / scale**2
        self.provides = Capability.POTENTIAL | Capability.SCORE
        self.dim, self.names, self.support = target.dim, target.names, target.support
        self.convexity, self.smoothness = (
            None if bound is None else self.b * bound + (1 - self.b) * self.precision
            for bound in (target.convexity, target.smoothness)
        )

    def potential(self, x: Tensor) -> Tensor:
        """Return V_b: shape ``(n, d)`` to ``(n,)``."""
        rest = (1 - self.b) * self.precision / 2
        return self.b * self.target.potential(x) + rest * x.square().sum(1)

    def score(self, x: Tensor) -> Tensor:
        """Return -grad V_b: shape ``(n, d)`` to ``(n, d)``."""
        return self.b * self.target.score(x) - (1 - self.b) * self.precision * x
