"""A tree of densities in the plane: each coordinate given one other, from kernels on grids."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from wopt.certify.challenge.grid import Axis, Line, Plane

__all__ = ["Tree"]

_WIDTHS = (0.12, 0.25, 0.5, 1.0)
"""As shares of Silverman's n^(-1/6) in the plane and n^(-1/5) on the line."""
_FIRST = 0.5
"""The width with which edges are chosen."""
_ROWS = 20_000
_HOLD_ROWS = 2000
_ON_LINES, _IN_PLANES = -1 / 5, -1 / 6


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
        fit, hold = fit[:_ROWS].double(), hold[:_HOLD_ROWS].double()
        d = fit.shape[1]
        axes = [Axis.of(column) for column in fit.T]

        def line(j: int, width: float) -> Line:
            return Line.of(fit, axes, j, width * len(fit) ** _ON_LINES).mixed(hold)

        def plane(i: int, j: int, width: float) -> Plane:
            width = width * len(fit) ** _IN_PLANES
            return Plane.of(fit, self.lines[i], self.lines[j], width).mixed(hold)

        every = [{width: line(j, width) for width in _WIDTHS} for j in range(d)]
        self.widths = [_best({w: one(hold) for w, one in trials.items()}) for trials in every]
        self.lines = [trials[w] for trials, w in zip(every, self.widths, strict=True)]
        alone = [float(one(hold).mean()) for one in self.lines]
        gain = torch.zeros(d, d, dtype=torch.float64)
        for i in range(d):
            for j in range(i):
                told = float(plane(i, j, _FIRST).given(hold).mean()) - alone[j]
                gain[i, j] = gain[j, i] = told
        self.parts: list[tuple[float, Plane]] = []
        for parent, child in spanning(gain):
            planes = {width: plane(parent, child, width) for width in _WIDTHS}
            width = _best({w: one.given(hold) for w, one in planes.items()})
            self.parts.append((width, planes[width]))

    def refit(self, x: Tensor) -> Tree:
        """Return the tree of the same edges, bandwidths' shares and weights, of rows anew."""
        x, anew = x.double(), copy.copy(self)
        axes = [Axis.of(column) for column in x.T]
        anew.lines = [
            dataclasses.replace(Line.of(x, axes, j, w * len(x) ** _ON_LINES), like=old.like)
            for j, (w, old) in enumerate(zip(self.widths, self.lines, strict=True))
        ]
        anew.parts = []
        for width, old in self.parts:
            one, other = anew.lines[old.first.j], anew.lines[old.second.j]
            plane = Plane.of(x, one, other, width * len(x) ** _IN_PLANES)
            anew.parts.append((width, dataclasses.replace(plane, like=old.like)))
        return anew

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p, shape ``(n, d)`` to ``(n,)``, float64."""
        points = points.double()
        total = self.lines[0](points)
        for _, part in self.parts:
            total = total + part.given(points)
        return total


def _best(logs: dict[float, Tensor]) -> float:
    """Return the bandwidth of the largest mean."""
    return max(logs, key=lambda width: float(logs[width].mean()))


def spanning(gain: Tensor) -> list[tuple[int, int]]:
    """Return the edges (parent, child) of the tree of largest sum, from node 0 (Prim).

    Example:
        >>> spanning(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]]))
        [(0, 2), (2, 1)]
    """
    d = len(gain)
    inside, edges = [0], list[tuple[int, int]]()
    while len(inside) < d:
        outside = [j for j in range(d) if j not in inside]
        at = int(gain[inside][:, outside].argmax())
        parent, child = inside[at // len(outside)], outside[at % len(outside)]
        edges.append((parent, child))
        inside.append(child)
    return edges
