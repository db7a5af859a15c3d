"""Trees of columns: each column given one other, along independent components."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data import QuantileTransform
from wopt_certify.challenge.densities import centre_and_whitening, curve_of

_HOLD, _CELLS = 2000, 8
"""Rows that choose, at most, and cells of each column by which edges are chosen."""
_NODES, _END = 128, 4.5
"""Nodes of a grid of normal scores on each axis, and its end."""
_STEP = 2 * _END / (_NODES - 1)
_WIDTHS, _APART = (0.12, 0.25, 0.5, 1.0), (0.003, 0.1, 0.3, 0.6, 0.9)
"""Candidates: bandwidths in multiples of Silverman's n^(-1/6), and weights of the product of the
two columns, which keeps the density above zero."""


@dataclasses.dataclass(frozen=True)
class Tree:
    """p(x) = |W| prod_j p_j(w_j) prod_edges c(u_child | u_parent) / phi(u_child),  w = W^T (x - m).

    p_j is the curve of a column, u_j its normal score, and c a kernel density of two scores mixed
    with their product; so p is normalised exactly. Edges are the spanning tree of largest mutual
    information (Chow and Liu).

    Source: Liu, Xu, Gu, Gupta, Lafferty, Wasserman, *Forest density estimation*, 2011.

    Attributes:
        centre, factor: m, shape ``(d,)``, and W, shape ``(d, d)``.
    """

    centre: Tensor
    factor: Tensor
    curves: tuple[QuantileTransform, ...]
    planes: tuple[PairDensity, ...] = ()

    @classmethod
    def turned(cls, fit: Tensor, hold: Tensor, seed: int) -> Tree:
        """Fit along the independent components of rows ``(n, d)``; see :meth:`best`."""
        centre, white = centre_and_whitening(fit)
        return cls.best(fit, hold[:_HOLD], centre, white @ rotation((fit - centre) @ white, seed))

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, centre: Tensor, factor: Tensor) -> Tree:
        """Fit to rows ``(n, d)``; rows ``(m, d)`` choose edges and bandwidths."""
        alone = cls(centre, factor, tuple(map(curve_of, ((fit - centre) @ factor).T)))
        u, other = alone.scores(fit)[0], alone.scores(hold)[0]
        edges = [PairDensity.best(u, other, *edge) for edge in spanning(information(u))]
        return dataclasses.replace(alone, planes=tuple(plane for plane, g in edges if g > 0))

    def scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return normal scores ``(n, d)`` and the sum of their log-slopes ``(n,)``."""
        columns = zip(self.curves, ((x - self.centre) @ self.factor).T, strict=True)
        pairs = [curve(column) for curve, column in columns]
        return torch.stack([u for u, _ in pairs], 1), torch.stack([s for _, s in pairs], 1).sum(1)

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        u, slopes = self.scores(points)
        total = slopes - (u.square() + math.log(2 * math.pi)).sum(1) / 2
        for plane in self.planes:
            total = total + plane(u)
        return total + torch.linalg.slogdet(self.factor).logabsdet


@dataclasses.dataclass(frozen=True)
class PairDensity:
    """log c(u_j | u_i) - log phi(u_j):  what score i says of score j, which are N(0, 1) alone.

    c is phi outside of a square, and inside linear between the rows of a table, u_i down and u_j
    across, shape ``(nodes, nodes)``, which have one integral: c is normalised exactly.
    """

    i: int
    j: int
    table: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, i: int, j: int) -> tuple[PairDensity, float]:
        """Return the plane of scores ``(n, d)`` with the clearest held-out gain, and that, nats."""
        edge = _END + _STEP / 2  # each node is the middle of a cell
        counts = torch.histogramdd(fit[:, [i, j]], _NODES, range=2 * [-edge, edge]).hist
        nodes = torch.linspace(-_END, _END, _NODES, dtype=torch.float64)
        normal = (-nodes.square() / 2).exp() / math.sqrt(2 * math.pi)
        sds = [max(width * len(fit) ** (-1 / 6), 0.3 * _STEP) for width in _WIDTHS]
        kernels = [(-((nodes[:, None] - nodes) / sd).square() / 2).exp() for sd in sds]
        joint = torch.stack([kernel @ counts @ kernel for kernel in kernels])[:, None]
        joint = joint / (joint.sum((2, 3), keepdim=True) * _STEP**2)
        apart = nodes.new_tensor(_APART)[:, None, None]
        tables = ((1 - apart) * joint + apart * torch.outer(normal, normal)).flatten(0, 1)
        rows = (tables.sum(2) - (tables[..., 0] + tables[..., -1]) / 2) * _STEP
        tables = tables * (math.erf(_END / math.sqrt(2)) / rows)[..., None]
        gains = _gains(tables, hold[:, i], hold[:, j])
        clear = gains.mean(1) - gains.std(1) / math.sqrt(len(hold))
        gain, at = clear.max(0)
        return cls(i, j, tables[at]), float(gain)

    def __call__(self, u: Tensor) -> Tensor:
        """Return the gain in nats, shape ``(n,)``, at scores ``(n, d)``."""
        return _gains(self.table[None], u[:, self.i], u[:, self.j])[0]


def _gains(tables: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return log c(v | u) - log phi(v) by tables ``(k, nodes, nodes)``, shape ``(k, n)``."""
    at = torch.stack([v, u], 1) / _END
    density = torch.nn.functional.grid_sample(tables[None], at[None, None], align_corners=True)
    gain = density[0, :, 0].log() + v.square() / 2 + math.log(2 * math.pi) / 2
    return torch.where((at.abs() <= 1).all(1), gain, 0.0)


def information(u: Tensor) -> Tensor:
    """Return the mutual information of normal scores ``(n, d)`` by cells, nats, ``(d, d)``."""
    cells = (torch.special.ndtr(u) * _CELLS).long().clamp(0, _CELLS - 1)
    hot = torch.nn.functional.one_hot(cells, _CELLS).double().flatten(1)
    joint = (hot.T @ hot / len(u)).reshape(u.shape[1], _CELLS, u.shape[1], _CELLS).transpose(1, 2)
    apart = joint.sum(3, keepdim=True) * joint.sum(2, keepdim=True)
    return torch.special.xlogy(joint, joint / apart.clamp(min=1e-300)).sum((2, 3))


def spanning(gain: Tensor) -> list[tuple[int, int]]:
    """Return edges (parent, child) of the tree of largest gain ``(d, d)``, by Prim's algorithm.

    Example:
        >>> spanning(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]]))
        [(0, 2), (2, 1)]
    """
    inside, edges = [0], list[tuple[int, int]]()
    while outside := [j for j in range(len(gain)) if j not in inside]:
        at = int(gain[inside][:, outside].argmax())
        parent, child = inside[at // len(outside)], outside[at % len(outside)]
        edges.append((parent, child))
        inside.append(child)
    return edges


_ROUNDS, _CLOSE = 40, 1e-4


def rotation(white: Tensor, seed: int) -> Tensor:
    """Return the independent components of white rows ``(n, d)``, orthogonal (symmetric FastICA).

    Source: Hyvarinen, *Fast and robust fixed-point algorithms for independent component
    analysis*, 1999.
    """
    d, rng = white.shape[1], torch.Generator().manual_seed(seed)
    now = _nearest(torch.randn(d, d, generator=rng, dtype=torch.float64))
    for _ in range(_ROUNDS):
        bent = (white @ now).tanh()
        slope = (1 - bent.square()).mean(0)
        now, before = _nearest(white.T @ bent / len(white) - now * slope), now
        if (1 - (before * now).sum(0).abs()).amax() < _CLOSE:
            break
    return now


def _nearest(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right
