"""Densities on grids: of one coordinate, and of one given another."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

__all__ = ["Axis", "Line", "Plane"]

_NODES = 128
_FAR = 0.02
"""Weight of the wide Gaussian that is mixed in, so that no density is zero."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """A grid of one coordinate, and the wide Gaussian there."""

    low: float
    step: float
    mean: float
    scale: float

    @classmethod
    def of(cls, column: Tensor) -> Axis:
        """Return the grid for all but the outermost thousandths of a column."""
        order = column.sort().values
        n = len(order)
        low, high = float(order[n // 1000]), float(order[-1 - n // 1000])
        margin = 0.1 * (high - low) + 1e-9
        step = (high - low + 2 * margin) / (_NODES - 1)
        return cls(low - margin, step, float(column.mean()), 2 * float(column.std()) + 1e-9)

    def at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the node below, the share of the way to the next, and whether it is inside."""
        position = (x - self.low) / self.step
        node = position.floor().clamp(0, _NODES - 2)
        inside = (position >= 0) & (position <= _NODES - 1)
        return node.long(), (position - node).clamp(0, 1), inside

    def far(self, x: Tensor) -> Tensor:
        """Return the wide Gaussian's density."""
        z = (x - self.mean) / self.scale
        return (-z.square() / 2).exp() / (self.scale * math.sqrt(2 * math.pi))


@dataclasses.dataclass(frozen=True)
class Line:
    """(1 - e) linear interpolation of a table + e wide Gaussian, in coordinate j."""

    j: int
    axis: Axis
    table: Tensor

    @classmethod
    def of(cls, fit: Tensor, axes: list[Axis], j: int, width: float) -> Line:
        """Return the kernel density of a bandwidth, in standard deviations."""
        axis = axes[j]
        node, share, inside = axis.at(fit[:, j])
        counts = torch.zeros(_NODES, dtype=torch.float64)
        counts.index_add_(0, node, (1 - share) * inside)
        counts.index_add_(0, node + 1, share * inside)
        table = _kernel(axis, width) @ counts
        return cls(j, axis, table / (_trapezoid(table) * axis.step))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p(x_j), shape ``(n,)``."""
        x = points[:, self.j]
        near = _interpolate(self.table, self.axis, x)
        return ((1 - _FAR) * near + _FAR * self.axis.far(x)).log()


@dataclasses.dataclass(frozen=True)
class Plane:
    """The density of coordinates (i, j) and the conditional of j given i that follows."""

    i: int
    j: int
    first: Axis
    second: Axis
    table: Tensor

    @classmethod
    def of(cls, fit: Tensor, axes: list[Axis], i: int, j: int, width: float) -> Plane:
        """Return the kernel density of a bandwidth, in standard deviations."""
        first, second = axes[i], axes[j]
        table = _binned(fit[:, i], fit[:, j], first, second)
        table = _kernel(first, width) @ table @ _kernel(second, width).T
        whole = float(_trapezoid(_trapezoid(table))) * first.step * second.step
        return cls(i, j, first, second, table / whole)

    def given(self, points: Tensor) -> Tensor:
        """Return log p(x_j | x_i), shape ``(n,)``."""
        x, y = points[:, self.i], points[:, self.j]
        a, s, inside_x = self.first.at(x)
        b, t, inside_y = self.second.at(y)
        w = self.table
        both = (1 - s) * ((1 - t) * w[a, b] + t * w[a, b + 1])
        both = both + s * ((1 - t) * w[a + 1, b] + t * w[a + 1, b + 1])
        both = both * (inside_x & inside_y)
        marginal = _trapezoid(w) * self.second.step
        alone = _interpolate(marginal, self.first, x)
        far = self.first.far(x)
        joint = (1 - _FAR) * both + _FAR * far * self.second.far(y)
        return (joint / ((1 - _FAR) * alone + _FAR * far)).log()


def _interpolate(table: Tensor, axis: Axis, x: Tensor) -> Tensor:
    node, share, inside = axis.at(x)
    return ((1 - share) * table[node] + share * table[node + 1]) * inside


def _trapezoid(table: Tensor) -> Tensor:
    """Return the integral over the last axis, whose nodes are one apart."""
    return table.sum(-1) - (table[..., 0] + table[..., -1]) / 2


def _binned(x: Tensor, y: Tensor, first: Axis, second: Axis) -> Tensor:
    """Return counts shared linearly by the nodes around, shape ``(nodes, nodes)``."""
    a, s, inside_x = first.at(x)
    b, t, inside_y = second.at(y)
    keep = (inside_x & inside_y).double()
    counts = torch.zeros(_NODES * _NODES, dtype=torch.float64)
    for node, weight in (
        (a * _NODES + b, (1 - s) * (1 - t)),
        (a * _NODES + b + 1, (1 - s) * t),
        ((a + 1) * _NODES + b, s * (1 - t)),
        ((a + 1) * _NODES + b + 1, s * t),
    ):
        counts.index_add_(0, node, weight * keep)
    return counts.reshape(_NODES, _NODES)


def _kernel(axis: Axis, width: float) -> Tensor:
    """Return the Gaussian blur of a bandwidth (in standard deviations), ``(nodes, nodes)``."""
    nodes = torch.arange(_NODES, dtype=torch.float64)
    h = max(width * axis.scale / 2 / axis.step, 0.3)
    return (-((nodes[:, None] - nodes) / h).square() / 2).exp()
