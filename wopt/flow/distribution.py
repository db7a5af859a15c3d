"""A flow as a distribution of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

__all__ = ["FlowDistribution"]


class FlowDistribution(Distribution):
    """A flow as a distribution over R^d, for priors, mixtures or Pyro.

    Args:
        flow: The flow.

    Example:
        >>> import wopt
        >>> units = wopt.AffineTransform.fit(torch.randn(100, 2), "none")
        >>> flow = wopt.Flow(wopt.Chain([], units), wopt.build("target", "gaussian"))
        >>> flow.distribution().sample((3,)).shape
        torch.Size([3, 2])
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = True
    support = constraints.real_vector

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        super().__init__(event_shape=torch.Size([flow.dim]), validate_args=False)

    def __repr__(self) -> str:
        return f"FlowDistribution({self.flow})"

    def rsample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Return samples of shape ``sample_shape + (d,)``, with gradients to the parameters."""
        return self.flow.rsample(sample_shape)

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Return samples of shape ``sample_shape + (d,)``."""
        return self.flow.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log-densities, shape ``value.shape[:-1]``, nats."""
        return self.flow.log_prob(value)
