"""A flow as a law of torch.distributions, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from wopt.data.assembly import coordinates
from wopt.html import paragraph, table

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

__all__ = ["FlowDistribution", "flow_html"]


class FlowDistribution(Distribution):
    """A flow as a distribution over R^d, for priors, mixtures or Pyro.

    Args:
        flow: The flow.

    Example:
        >>> import wopt
        >>> units = wopt.AffineTransform.fit(torch.randn(100, 2), "none")
        >>> flow = wopt.Flow([units], wopt.build("target", "gaussian"))
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
        x: Tensor = self.flow.sample((*sample_shape, 1))  # a tensor also of a frame's model
        return x.squeeze(-2)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log-densities, shape ``value.shape[:-1]``, nats."""
        return self.flow.log_prob(value)


_SHOWN = 30
"""Largest number of columns or blocks shown."""


def flow_html(flow: Flow) -> str:
    """Return a flow as HTML: its columns, and its blocks in the order they were made.

    Example:
        >>> import torch, wopt
        >>> units = wopt.AffineTransform.fit(torch.randn(100, 2), "none")
        >>> flow = wopt.Flow([units], wopt.build("target", "gaussian"), ("a", "b"))
        >>> "<td>number</td>" in flow_html(flow)
        True
    """
    names = flow.names or coordinates(flow.dim)
    if flow.columns is None:
        kinds = ["number"] * flow.dim
    else:
        kinds = [column.words().partition(": ")[2] for column in flow.columns.columns]
    for j in range(flow.dim - flow.condition, flow.dim):
        kinds[j] += ", condition"
    blocks = [
        (k + 1, type(block).__name__, f"{sum(p.numel() for p in block.parameters()):,}")
        for k, block in enumerate(flow.blocks)
    ]
    parts = [paragraph(repr(flow), bold=True)]
    parts.append(table(["column", "kind"], _short(list(zip(names, kinds, strict=True)), 2)))
    if blocks:
        parts.append(table(["block", "class", "parameters"], _short(blocks, 3)))
    return "".join(parts)


def _short(rows: Sequence[tuple[object, ...]], width: int) -> Sequence[tuple[object, ...]]:
    if len(rows) <= _SHOWN:
        return rows
    rest = (f"and {len(rows) - _SHOWN} more", *[""] * (width - 1))
    return [*rows[:_SHOWN], rest]
