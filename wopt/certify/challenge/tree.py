"""A tree of densities in the plane: each coordinate given one other, from kernels on grids."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

__all__ = ["Tree"]

_NODES = 128
_WIDTHS = (0.12, 0.25, 0.5, 1.0)
"""As shares of Silverman's n^(-1/6)."""
_FAR = 0.02
"""Weight of the wide Gaussian that is mixed in, so that no density is zero."""
_ROWS = 20_000
_HELD = 2000


class Tree:
    """p(x) = p(x_root) prod_j p(x_j | x_parent(j)),  the best tree by held-out likelihood.

    Each conditional is the quotient of a density in the plane and of its own marginal, both the
    bilinear interpolation of a kernel density on a grid, mixed with a wide Gaussian; so p is
    normalised exactly. Edges are a spanning tree of largest held-out information (Chow and Liu).

    Source: Liu, Xu, Gu, Gupta, Lafferty, Wasserman, *Forest density estimation*, 2011.

    Args:
        fit: Rows, shape ``(n, d)``, d >= 2.
        hold: Rows that choose edges and bandwidths.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 3, generator=draw, dtype=torch.float64)
        >>> p = Tree(x[:3000], x[3000:])
        >>> abs(float(p(x[3000:]).mean()) + 3 * 1.4189) < 0.15
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor) -> None:
        fit, hold = fit[:_ROWS].double(), hold[:_HELD].double()
        d = fit.shape[1]
        self.axes = [_Axis.of(column) for column in fit.T]
        alone = torch.stack([self._alone(fit, hold, j)(hold) for j in range(d)]).mean(1)
        gain = torch.zeros(d, d, dtype=torch.float64)
        for i in range(d):
            for j in range(i):
                plane = self._plane(fit, i, j, 0.5)
                gain[i, j] = gain[j, i] = float(plane.given(hold).mean()) - float(alone[j])
        self.root, self.parts = 0, list[_Plane]()
        for parent, child in _spanning(gain):
            trials = [self._plane(fit, parent, child, width) for width in _WIDTHS]
            self.parts.append(max(trials, key=lambda plane: float(plane.given(hold).mean())))
        self.first = self._alone(fit, hold, self.root)

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p, shape ``(n, d)`` to ``(n,)``, float64."""
        points = points.double()
        found = self.first(points)
        for plane in self.parts:
            found = found + plane.given(points)
        return found

    def _plane(self, fit: Tensor, i: int, j: int, width: float) -> _Plane:
        table = _binned(fit[:, i], fit[:, j], self.axes[i], self.axes[j])
        blur = [
            _kernel(axis, width * len(fit) ** (-1 / 6)) for axis in (self.axes[i], self.axes[j])
        ]
        table = blur[0] @ table @ blur[1].T
        cell = self.axes[i].step * self.axes[j].step
        return _Plane(i, j, self.axes[i], self.axes[j], table / (_trapezoid(table).sum() * cell))

    def _alone(self, fit: Tensor, hold: Tensor, j: int) -> _Line:
        trials = [
            _Line(j, self.axes[j], _smooth(fit[:, j], self.axes[j], w * len(fit) ** (-1 / 5)))
            for w in _WIDTHS
        ]
        return max(trials, key=lambda line: float(line(hold).mean()))


@dataclasses.dataclass(frozen=True)
class _Axis:
    """A grid of one coordinate, and the wide Gaussian there."""

    low: float
    step: float
    mean: float
    scale: float

    @classmethod
    def of(cls, column: Tensor) -> _Axis:
        order = column.sort().values
        n = len(order)
        low, high = float(order[n // 1000]), float(order[-1 - n // 1000])
        margin = 0.1 * (high - low) + 1e-9
        step = (high - low + 2 * margin) / (_NODES - 1)
        return cls(low - margin, step, float(column.mean()), 2 * float(column.std()) + 1e-9)

    def at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the node below, the share of the way to the next, and whether it is inside."""
        place = (x - self.low) / self.step
        node = place.floor().clamp(0, _NODES - 2)
        inside = (place >= 0) & (place <= _NODES - 1)
        return node.long(), (place - node).clamp(0, 1), inside

    def far(self, x: Tensor) -> Tensor:
        z = (x - self.mean) / self.scale
        return (-z.square() / 2).exp() / (self.scale * math.sqrt(2 * math.pi))


@dataclasses.dataclass(frozen=True)
class _Line:
    """(1 - e) linear interpolation of a table + e wide Gaussian, in coordinate j."""

    j: int
    axis: _Axis
    table: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        x = points[:, self.j]
        return ((1 - _FAR) * _interpolate(self.table, self.axis, x) + _FAR * self.axis.far(x)).log()


@dataclasses.dataclass(frozen=True)
class _Plane:
    """The density of coordinates (i, j) and the conditional of j given i that follows."""

    i: int
    j: int
    first: _Axis
    second: _Axis
    table: Tensor

    def given(self, points: Tensor) -> Tensor:
        """Return log p(x_j | x_i), shape ``(n,)``."""
        x, y = points[:, self.i], points[:, self.j]
        a, s, inside_x = self.first.at(x)
        b, t, inside_y = self.second.at(y)
        w = self.table
        both = (1 - s) * ((1 - t) * w[a, b] + t * w[a, b + 1])
        both = both + s * ((1 - t) * w[a + 1, b] + t * w[a + 1, b + 1])
        both = both * (inside_x & inside_y)
        marginal = _trapezoid_rows(w) * self.second.step
        alone = _interpolate(marginal, self.first, x)
        far = self.first.far(x)
        joint = (1 - _FAR) * both + _FAR * far * self.second.far(y)
        return (joint / ((1 - _FAR) * alone + _FAR * far)).log()


def _interpolate(table: Tensor, axis: _Axis, x: Tensor) -> Tensor:
    node, share, inside = axis.at(x)
    return ((1 - share) * table[node] + share * table[node + 1]) * inside


def _trapezoid(table: Tensor) -> Tensor:
    """Return the weights' integral over the first axis of the integral over the second."""
    return _trapezoid_rows(_trapezoid_rows(table)[None])


def _trapezoid_rows(table: Tensor) -> Tensor:
    return table.sum(-1) - (table[..., 0] + table[..., -1]) / 2


def _binned(x: Tensor, y: Tensor, first: _Axis, second: _Axis) -> Tensor:
    """Return counts shared linearly by the nodes around, shape ``(nodes, nodes)``."""
    a, s, inside_x = first.at(x)
    b, t, inside_y = second.at(y)
    keep = (inside_x & inside_y).double()
    found = torch.zeros(_NODES * _NODES, dtype=torch.float64)
    for node, weight in (
        (a * _NODES + b, (1 - s) * (1 - t)),
        (a * _NODES + b + 1, (1 - s) * t),
        ((a + 1) * _NODES + b, s * (1 - t)),
        ((a + 1) * _NODES + b + 1, s * t),
    ):
        found.index_add_(0, node, weight * keep)
    return found.reshape(_NODES, _NODES)


def _kernel(axis: _Axis, width: float) -> Tensor:
    """Return the Gaussian blur of a bandwidth (in standard deviations), ``(nodes, nodes)``."""
    nodes = torch.arange(_NODES, dtype=torch.float64)
    h = max(width * axis.scale / 2 / axis.step, 0.3)
    return (-((nodes[:, None] - nodes) / h).square() / 2).exp()


def _smooth(x: Tensor, axis: _Axis, width: float) -> Tensor:
    node, share, inside = axis.at(x)
    counts = torch.zeros(_NODES, dtype=torch.float64)
    counts.index_add_(0, node, (1 - share) * inside).index_add_(0, node + 1, share * inside)
    table = _kernel(axis, width) @ counts
    return table / (_trapezoid_rows(table) * axis.step)


def _spanning(gain: Tensor) -> list[tuple[int, int]]:
    """Return the edges (parent, child) of the tree of largest sum, from node 0 (Prim)."""
    d = len(gain)
    inside, edges = [0], list[tuple[int, int]]()
    while len(inside) < d:
        outside = [j for j in range(d) if j not in inside]
        part = gain[inside][:, outside]
        at = int(part.argmax())
        parent, child = inside[at // len(outside)], outside[at % len(outside)]
        edges.append((parent, child))
        inside.append(child)
    return edges
