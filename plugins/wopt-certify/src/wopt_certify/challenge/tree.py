"""Trees of densities: each coordinate given one other, as they are or turned."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import torch
from torch import Tensor

from wopt.seeds import derive
from wopt_certify.challenge.conditional import PiecewiseLinearRegression, PolynomialRegression
from wopt_certify.challenge.elliptical import Student
from wopt_certify.challenge.kernels import Axis, BivariateDensity, MarginalDensity

__all__ = ["Tree", "TurnedTree"]

_WIDTHS = (0.12, 0.25, 0.5, 1.0)
"""Bandwidths in multiples of Silverman's n^(-1/6) in the plane and n^(-1/5) on the line."""
_FIRST = 0.5
"""The bandwidth with which edges are chosen."""
_ROWS = 20_000
_HOLD_ROWS = 2000
_ON_LINES, _IN_PLANES = -1 / 5, -1 / 6
_NODES = (12, 32, 96)
_ROWS_A_NODE = 16
_LOOKED, _FEW = 2000, 12
"""Rows on which, and dimensions up to which, curves of the middle number of nodes choose edges."""


class Tree:
    """p(x) = p(x_root) prod_j p(x_j | x_parent(j)),  the best tree by held-out likelihood.

    Each conditional is a Gaussian whose mean and log-variance are polynomials or piecewise linear,
    or the quotient of a density in the plane and of its own marginal, both the bilinear
    interpolation of a kernel density on a grid, mixed with the product of its coordinates' own and
    with a wide Gaussian; so p is normalised exactly. Edges are a spanning tree of large held-out
    information (Chow and Liu).

    Source: Liu, Xu, Gu, Gupta, Lafferty, Wasserman, *Forest density estimation*, 2011.

    Args:
        fit: Rows, shape ``(n, d)``, d >= 2.
        hold: Rows on which edges and bandwidths are chosen, shape ``(m, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 3, generator=rng, dtype=torch.float64)
        >>> p = Tree(x[:3000], x[3000:])
        >>> abs(float(p(x[3000:]).mean()) + 3 * 1.4189) < 0.15
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor) -> None:
        fit, hold = fit[:_ROWS].double(), hold[:_HOLD_ROWS].double()
        d = fit.shape[1]
        axes = [Axis.of(column) for column in fit.T]

        def line(j: int, width: float) -> MarginalDensity:
            return MarginalDensity.of(fit, axes, j, width * len(fit) ** _ON_LINES).mixed(hold)

        def plane(i: int, j: int, width: float) -> BivariateDensity:
            width = width * len(fit) ** _IN_PLANES
            return BivariateDensity.of(fit, self.lines[i], self.lines[j], width).mixed(hold)

        every = [{width: line(j, width) for width in _WIDTHS} for j in range(d)]
        self.widths = [_best({w: one(hold) for w, one in trials.items()}) for trials in every]
        self.lines = [trials[w] for trials, w in zip(every, self.widths, strict=True)]
        alone = [float(one(hold).mean()) for one in self.lines]
        gain = _told_by_curves(fit, hold, alone)
        for i in range(d):
            for j in range(i):
                reported = float(plane(i, j, _FIRST).given(hold).mean()) - alone[j]
                gain[i, j], gain[j, i] = (
                    gain[i, j].clamp(min=reported),
                    gain[j, i].clamp(min=reported),
                )
        self.root = int(gain.clamp(min=0).sum(1).argmax())
        self.planes: list[tuple[float, BivariateDensity]] = []
        self.curves: list[PolynomialRegression | PiecewiseLinearRegression] = []
        for parent, child in spanning(gain, self.root):
            planes = {width: plane(parent, child, width) for width in _WIDTHS}
            logs = {width: float(one.given(hold).mean()) for width, one in planes.items()}
            width = max(logs, key=logs.__getitem__)
            curves = _curves(fit, parent, child)
            curve = max(curves, key=lambda one: float(one.given(hold).mean()))
            if float(curve.given(hold).mean()) > logs[width]:
                self.curves.append(curve)
            else:
                self.planes.append((width, planes[width]))

    def refit(self, x: Tensor) -> Tree:
        """Return the tree with the same edges and weights, fitted to rows ``(n, d)``."""
        x, anew = x.double(), copy.copy(self)
        axes = [Axis.of(column) for column in x.T]
        anew.lines = [
            dataclasses.replace(
                MarginalDensity.of(x, axes, j, w * len(x) ** _ON_LINES), like=old.like
            )
            for j, (w, old) in enumerate(zip(self.widths, self.lines, strict=True))
        ]
        anew.planes = []
        for width, old in self.planes:
            one, other = anew.lines[old.first.j], anew.lines[old.second.j]
            plane = BivariateDensity.of(x, one, other, width * len(x) ** _IN_PLANES)
            anew.planes.append((width, dataclasses.replace(plane, like=old.like)))
        anew.curves = [old.refit(x) for old in self.curves]
        return anew

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        points = points.double()
        total = self.lines[self.root](points)
        for _, plane in self.planes:
            total = total + plane.given(points)
        for curves in self.curves:
            total = total + curves.given(points)
        return total


def _best(logs: dict[float, Tensor]) -> float:
    """Return the bandwidth with the largest mean."""
    return max(logs, key=lambda width: float(logs[width].mean()))


def _curves(fit: Tensor, i: int, j: int) -> list[PolynomialRegression | PiecewiseLinearRegression]:
    """Return regressions of j on i: polynomials, and curves with as many nodes as rows allow."""
    most = len(fit) // _ROWS_A_NODE
    broken = [PiecewiseLinearRegression.of(fit, i, j, nodes) for nodes in _NODES if nodes <= most]
    return [PolynomialRegression.of(fit, i, [j]), *broken]


def _told_by_curves(fit: Tensor, hold: Tensor, alone: list[float]) -> Tensor:
    """Return the held-out gain of j's density given coordinate i, nats, shape ``(d, d)``."""
    d = fit.shape[1]
    gain = torch.zeros(d, d, dtype=torch.float64)
    for i in range(d):
        others = [j for j in range(d) if j != i]
        reported = PolynomialRegression.of(fit, i, others).each(hold).mean(0)
        gain[i, others] = reported - torch.tensor([alone[j] for j in others], dtype=torch.float64)
    few = fit[:_LOOKED]
    if d <= _FEW and len(few) >= _NODES[1] * _ROWS_A_NODE:
        for i, j in itertools.permutations(range(d), 2):
            reported = PiecewiseLinearRegression.of(few, i, j, _NODES[1]).given(hold).mean()
            gain[i, j] = gain[i, j].clamp(min=float(reported) - alone[j])
    return gain


def spanning(gain: Tensor, root: int = 0) -> list[tuple[int, int]]:
    """Return edges (parent, child) of a tree of large gain, by Prim's greedy algorithm.

    The gain of edge (i, j) is entry i, j of shape ``(d, d)``; if it is symmetric, the sum is the
    largest.

    Example:
        >>> spanning(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]]))
        [(0, 2), (2, 1)]
    """
    d = len(gain)
    inside, edges = [root], list[tuple[int, int]]()
    while len(inside) < d:
        outside = [j for j in range(d) if j not in inside]
        at = int(gain[inside][:, outside].argmax())
        parent, child = inside[at // len(outside)], outside[at % len(outside)]
        edges.append((parent, child))
        inside.append(child)
    return edges


_ROUNDS = 40
_CLOSE = 1e-4


class TurnedTree:
    """p(x) = |det W| t(W^T (x - m)),  W whitens and then rotates to independent components.

    t is a tree of densities; without an informative edge it is a product of densities on lines.

    Source: Hyvarinen, *Fast and robust fixed-point algorithms for independent component
    analysis*, 1999.

    Args:
        fit: Rows, shape ``(n, d)``, d >= 2.
        hold: Rows on which bandwidths and edges are chosen, shape ``(m, d)``.
        seed: Seed of the first rotation.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> s = torch.rand(4000, 3, generator=rng, dtype=torch.float64)  # uniform on a cube
        >>> turned, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))
        >>> x = s @ turned.T
        >>> p = TurnedTree(x[:3000], x[3000:], 0)
        >>> -0.3 < float(p(x[3000:]).mean()) < 0.05  # its entropy is 0
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor, seed: int) -> None:
        fit, hold = fit.double(), hold.double()
        whole = Student.of(fit, float("inf"))
        self.mean = whole.mean
        self.factor: Tensor = whole.factor @ _rotation(whole.inside(fit), derive(seed, "turn"))
        self.log_det = whole.factor.diagonal().log().sum()
        self.tree = Tree(self._inside(fit), self._inside(hold))

    def refit(self, x: Tensor) -> TurnedTree:
        """Return the density in the same directions with its tree fitted to rows ``(n, d)``."""
        anew = copy.copy(self)
        anew.tree = self.tree.refit(self._inside(x.double()))
        return anew

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return self.log_det + self.tree(self._inside(points.double()))

    def _inside(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.factor


def _rotation(white: Tensor, seed: int) -> Tensor:
    """Return an orthogonal matrix whose columns are the components (symmetric FastICA, tanh)."""
    d = white.shape[1]
    rng = torch.Generator().manual_seed(seed)
    now = _nearest(torch.randn(d, d, generator=rng, dtype=torch.float64))
    for _ in range(_ROUNDS):
        bent = (white @ now).tanh()
        slope = (1 - bent.square()).mean(0)
        turned = _nearest(white.T @ bent / len(white) - now * slope)
        close = float((1 - (turned * now).sum(0).abs()).amax())
        now = turned
        if close < _CLOSE:
            break
    return now


def _nearest(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right
