"""Labels written into draws of a normal law, in narrow cells, which change nothing of the law.

The line is cut into cells of one width. Where a draw lies in its cell, as a fraction f of the
cell's probability, is uniform and independent of the cell. If a label k has probability w_k, and
W_k is the sum of those before it, then W_k + w_k f is uniform as well, and tells k.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

CELL = 1 / 64
"""Width of a cell: wide beside the spacing of numbers in float32, narrow beside what maps see."""

_NODES, _NEWTON = 8, 12


def choose(probabilities: Tensor, x: Tensor) -> Tensor:
    """Return a label for each row, shape ``(n,)``, drawn from its probabilities, ``(n, m)``.

    The draw is a function of the row's last digits, so that the same row has the same label.

    Args:
        probabilities: Probabilities of the labels, which sum to one.
        x: The rows, shape ``(n, d)``.

    Example:
        >>> x = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0))
        >>> labels = choose(torch.tensor([[0.25, 0.75]]).expand(10_000, 2), x)
        >>> round(float(labels.double().mean()), 2)
        0.75
    """
    golden = (np.sqrt(5) - 1) / 2
    powers = torch.arange(1, x.shape[1] + 1, dtype=torch.float64, device=x.device) * golden
    drawn = (x.double() @ (powers.frac() * 2**20)).frac().abs()
    below = probabilities.double().cumsum(1)[:, :-1]
    return (drawn[:, None] >= below).sum(1)


def labelled(z: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return points that tell their labels, shape ``(n, d)``; z differs in its first column.

    Args:
        z: Points, shape ``(n, d)``; normal ones stay normal if labels have these weights.
        labels: The labels, shape ``(n,)``.
        weights: Probabilities of the labels, shape ``(m,)``, float64.
    """
    if len(weights) == 1:
        return z
    cell = _Cell.of(z[:, 0])
    below = weights.cumsum(0) - weights
    # Away from the ends of a label's part, which rounding would cross.
    least = (weights[labels] / 2).minimum(cell.spacing)
    inner = (weights[labels] * cell.fraction(cell.inside)).clamp(least, weights[labels] - least)
    moved = cell.at(cell.quantile(below[labels] + inner)).to(z)
    # The derivative of a point by itself is one, which is all that a log-density needs of it.
    first = z[:, 0] + (moved - z[:, 0]).detach()
    return torch.cat([first[:, None], z[:, 1:]], dim=1)


def read_labels(z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the labels, shape ``(n,)``, of points of :func:`labelled`, and the points before it.

    Args:
        z: Points, shape ``(n, d)``.
        weights: Probabilities of the labels, shape ``(m,)``, float64.

    Example:
        >>> z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> weights = torch.tensor([0.2, 0.5, 0.3]).double()
        >>> labels = torch.arange(1000) % 3
        >>> told, back = read_labels(labelled(z, labels, weights), weights)
        >>> bool((told == labels).all()), bool(torch.allclose(back, z, atol=1e-4))
        (True, True)
    """
    if len(weights) == 1:
        return torch.zeros(len(z), dtype=torch.long, device=z.device), z
    cell = _Cell.of(z[:, 0])
    fraction = cell.fraction(cell.inside)
    below = weights.cumsum(0) - weights
    labels = (fraction[:, None] >= below[1:]).sum(1)
    within = ((fraction - below[labels]) / weights[labels]).clamp(0, 1)
    moved = cell.at(cell.quantile(within)).to(z)
    first = z[:, 0] + (moved - z[:, 0]).detach()
    return labels, torch.cat([first[:, None], z[:, 1:]], dim=1)


class _Cell:
    """The cell of each number, from its end a nearer to zero, and the normal law within.

    The density at distance t from a is proportional to exp(-a t - t^2/2).
    """

    def __init__(self, sign: Tensor, start: Tensor, inside: Tensor, spacing: Tensor) -> None:
        self.sign, self.start, self.inside, self.spacing = sign, start, inside, spacing
        self.mass = self._mass(torch.full_like(start, CELL))

    @classmethod
    def of(cls, z: Tensor) -> _Cell:
        """Return the cells of numbers, shape ``(n,)``."""
        far = z.detach().double().abs()
        start = (far / CELL).floor() * CELL
        spacing = 4 * torch.finfo(z.dtype).eps * far.clamp_min(1) / CELL
        return cls(torch.where(z.detach() < 0, -1.0, 1.0).double(), start, far - start, spacing)

    def at(self, inside: Tensor) -> Tensor:
        """Return the numbers at distances from the ends, within the cells, shape ``(n,)``."""
        room = (self.spacing * CELL).clamp_max(CELL / 2)
        return self.sign * (self.start + inside.clamp_min(0).minimum(CELL - room))

    def fraction(self, inside: Tensor) -> Tensor:
        """Return the probability below a distance, given the cell, shape ``(n,)``."""
        return self._mass(inside) / self.mass

    def quantile(self, fraction: Tensor) -> Tensor:
        """Return the distance below which the probability is, given the cell, shape ``(n,)``."""
        inside, wanted = fraction * CELL, fraction * self.mass
        for _ in range(_NEWTON):
            slope = (-self.start * inside - inside.square() / 2).exp()
            inside = (inside - (self._mass(inside) - wanted) / slope).clamp(0, CELL)
        return inside

    def _mass(self, inside: Tensor) -> Tensor:
        """Return the integral of exp(-a s - s^2/2) from 0 to each distance, shape ``(n,)``."""
        nodes, weights = (part.to(inside) for part in _gauss())
        s = inside[:, None] * nodes
        return inside * ((-self.start[:, None] * s - s.square() / 2).exp() @ weights)


@functools.cache
def _gauss() -> tuple[Tensor, Tensor]:
    """Return nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
