"""A flow in other terms: an author's coordinates, discrete values, a law of torch, a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from wopt.data.rows import completed
from wopt.errors import DataError
from wopt.flow.flow import Flow
from wopt.flow.marginal import log_marginal
from wopt.html import paragraph, table
from wopt.interfaces.target import Target
from wopt.particles import split_conditions


def in_own_units(flow: Flow, target: Target | None) -> Flow:
    """Return the flow with samples and densities in the coordinates of the target's author.

    A model of data is in the data's units and returned unchanged.
    """
    if flow.pulls_back or target is None or target.support is None:
        return flow
    return Flow([*flow.chain, target.support], flow.base, flow.names).inverted()


def free(flow: Flow) -> Flow:
    """Return the same flow in free coordinates, those of :meth:`Target.potential`."""
    if flow.chain.support is None:
        return flow
    return Flow([*flow.chain][:-1], flow.base, flow.names).inverted()


DRAWS = 16
"""Number of draws of the noise at each row."""


@torch.no_grad()
def log_mass_bound(
    flow: Flow, x: Tensor, *, draws: int = DRAWS, seed: int = 0, audit: bool = False
) -> Tensor:
    """Estimate a lower bound of the log-probability of each row, shape ``(n,)``, nats.

        E log p(x + u) <= log E p(x + u) = log P(x) - log (volume of the cell),  u uniform on it,

    by Jensen's inequality. The cells of integers and categories have volume one. Continuous columns
    contribute their density. For a flow without discrete columns this is the log-density. Where a
    value is missing, the density of what is seen is estimated, see :func:`wopt.flow.log_marginal`.

    Args:
        x: Rows in the data's units, shape ``(n, d)``.
        audit: As for :meth:`Flow.log_prob <wopt.flow.flow.Flow.log_prob>`.

    Source: Theis, van den Oord and Bethge (2016), A note on the evaluation of generative models.
    """
    columns = flow.described
    if not columns.discrete:
        return log_marginal(flow, x, audit=audit)[0]
    x = completed(columns, x)
    rng = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(x), dtype=torch.float64)
    for _ in range(draws):
        total += log_marginal(flow, columns.jitter(x, rng), audit=audit)[0].cpu()
    return total / draws


@torch.no_grad()
def between(flow: Flow, x: Any, fraction: float) -> Tensor:
    """Return particles at a fraction of the way, shape ``(n, d)``, see :meth:`Flow.between`."""
    if not 0 <= fraction <= 1:
        raise DataError(f"share is one of the way, from 0 to 1, got {fraction}")
    path = flow.trajectory(x)
    lengths = (path[1:] - path[:-1]).double().square().sum(2).mean(1).sqrt()
    ends = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    if not float(ends[-1]) > 0:
        return flow.transform.outside(*split_conditions(path[0], flow.condition))
    at = fraction * float(ends[-1])
    k = min(int((ends[1:] < at).sum()), len(lengths) - 1)
    part = 1.0 if lengths[k] == 0 else (at - float(ends[k])) / float(lengths[k])
    z = torch.lerp(path[k], path[k + 1], min(part, 1.0))
    return flow.transform.outside(*split_conditions(z, flow.condition))


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
        >>> "<td>continuous</td>" in flow_html(flow)
        True
    """
    columns = flow.described
    kinds = [column.words().partition(": ")[2] for column in columns.columns]
    for j in range(flow.dim - flow.condition, flow.dim):
        kinds[j] += ", condition"
    blocks = [
        (k + 1, type(block).__name__, f"{sum(p.numel() for p in block.parameters()):,}")
        for k, block in enumerate(flow.blocks)
    ]
    parts = [paragraph(repr(flow), bold=True)]
    parts.append(table(["column", "kind"], _short(list(zip(columns.names, kinds, strict=True)), 2)))
    if blocks:
        parts.append(table(["block", "class", "parameters"], _short(blocks, 3)))
    return "".join(parts)


def _short(rows: Sequence[tuple[object, ...]], width: int) -> Sequence[tuple[object, ...]]:
    if len(rows) <= _SHOWN:
        return rows
    rest = (f"and {len(rows) - _SHOWN} more", *[""] * (width - 1))
    return [*rows[:_SHOWN], rest]
