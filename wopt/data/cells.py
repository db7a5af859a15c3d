"""Values with a probability each beside a density: the map of such a column to a normal law."""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.quantile_transform import Interval, normal_log_density


@dataclasses.dataclass(frozen=True)
class Cells:
    """Values a_k of probability m_k beside a density, which has the rest m_0 = 1 - sum_k m_k.

    Attributes:
        values: The values a_k, increasing.
        masses: Their probabilities m_k.
        width: Width w of the cells over which noise spreads the values; they do not overlap.
        mean: Mean, on the line, of what has a density.
        scale: Standard deviation, on the line, of what has a density; 0 if nothing has.

    Example:
        >>> x = torch.tensor([0.0, 0.04, 0.2], dtype=torch.float64)
        >>> Cells((0.0,), (0.5,), 0.1).at(x)[1].tolist()
        [True, True, False]
    """

    values: tuple[float, ...]
    masses: tuple[float, ...]
    width: float
    mean: float = 0.0
    scale: float = 1.0

    @property
    def rest(self) -> float:
        """The mass m_0 of the density; zero if the cells hold everything."""
        return max(0.0, 1 - math.fsum(self.masses)) if self.scale else 0.0

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the number of the nearest cell, and whether x lies in it, shapes of x."""
        values = x.new_tensor(self.values)
        between = (values[1:] + values[:-1]) / 2
        k = torch.bucketize(x.detach().contiguous(), between)
        return k, (x - values[k]).abs() <= self.width / 2


@dataclasses.dataclass(unsafe_hash=True)
class CellTransform(Bijection):
    """The map of a column with cells to a normal law, for numbers of any shape.

        z = Phi^-1(U(x)),    U(x) = sum_{cells below x} m_k + m_0 Phi((y(x) - mean) / scale),

    linear in x within a cell, with y the image of x on the line: z is standard normal if the masses
    are right and y is normal where x has a density. Masses become intervals of z, however narrow
    the cells are. Source: Rüschendorf (2009), On the distributional transform, Sklar's theorem,
    and the empirical copula process.

    Attributes:
        cells: The cells.
        bounds: Bounds, scale and least distance of the :class:`Interval` of what has a density;
            ``None`` for the line.
        gap: The value that stands for a missing one, whose cell has volume one.

    Example:
        >>> zeros = CellTransform(Cells((0.0,), (0.5,), 0.1))  # half zeros, half normal
        >>> x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
        >>> z, _ = zeros(x)
        >>> round(float(z[2]), 3), bool(torch.allclose(zeros.inverse(z)[0], x))
        (1.41, True)
    """

    cells: Cells
    bounds: tuple[float, float, float, float] | None = None
    gap: float | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return z and log dz/dx, of the shape of x; minus infinity where the law has no mass."""
        cells, edges = self.cells, _edges(self, x.dtype, x.device)
        k, inside = cells.at(x)
        fraction = ((x - edges.values[k]) / cells.width + 0.5).clamp(0, 1)
        low = (edges.low[k] + fraction * edges.height[k]).clamp_min(_TINY).log()
        high = (edges.above[k] + (1 - fraction) * edges.height[k]).clamp_min(_TINY).log()
        log_slope = (edges.height[k] / cells.width).log()
        if not cells.rest:
            log_slope = torch.where(inside, log_slope, -math.inf)
        else:
            y, rise = self._line(x)
            t, rest = (y - cells.mean) / cells.scale, math.log(cells.rest)
            past = k + (x > edges.values[k])
            free_low = torch.logaddexp(edges.before[past].log(), rest + torch.special.log_ndtr(t))
            free_high = torch.logaddexp(edges.after[past].log(), rest + torch.special.log_ndtr(-t))
            low = torch.where(inside, low, free_low)
            high = torch.where(inside, high, free_high)
            beside = rest + normal_log_density(t) - math.log(cells.scale) + rise
            log_slope = torch.where(inside, log_slope, beside)
        if self.gap is not None:
            missing = (x - self.gap).abs() <= cells.width / 2
            log_slope = log_slope + missing * math.log(cells.width)
        z = torch.where(low < high, _quantile(low), -_quantile(high))
        return z, log_slope - normal_log_density(z)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x, and log dx/dz, of the shape of y."""
        cells, edges = self.cells, _edges(self, y.dtype, y.device)
        k = torch.bucketize(y.detach().contiguous(), edges.z_low, right=True) - 1
        here = k.clamp(min=0)
        up = (torch.special.ndtr(y) - edges.low[here]) / edges.height[here]
        down = (torch.special.ndtr(-y) - edges.above[here]) / edges.height[here]
        fraction = torch.where(y < 0, up, 1 - down).clamp(0, 1)
        x = edges.values[here] + cells.width * (fraction - 0.5)
        if cells.rest:
            t = self._free(y, edges.before[k + 1], edges.after[k + 1])
            line = cells.mean + cells.scale * t
            free = line if self.bounds is None else Interval(*self.bounds).inverse(line)[0]
            x = torch.where((k >= 0) & (y < edges.z_high[here]), x, free)
        return x, -self(x)[1]

    def _line(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of x on the line, and its log-slope."""
        if self.bounds is None:
            return x, torch.zeros_like(x)
        return Interval(*self.bounds).forward(x)

    def _free(self, z: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Return t with  U = before + m_0 Phi(t)  or  1 - U = after + m_0 Phi(-t)."""
        rest = self.cells.rest

        def of(side: Tensor, other: Tensor) -> Tensor:
            """Return t of rows ``(n,)`` from one side, where cells of the other have a mass."""
            log_share = torch.where(
                other > 0,
                ((torch.special.ndtr(side) - other) / rest).clamp(_TINY, 1).log(),
                torch.special.log_ndtr(side) - math.log(rest),
            )
            return _quantile(log_share)

        return torch.where(z < 0, of(z, before), -of(-z, after))


@dataclasses.dataclass(frozen=True)
class _Edges:
    """U and z at the edges of K cells, shapes ``(K,)``; sums of masses below and above, (K+1,)."""

    values: Tensor
    low: Tensor
    above: Tensor
    height: Tensor
    z_low: Tensor
    z_high: Tensor
    before: Tensor
    after: Tensor


@functools.lru_cache(maxsize=512)
def _edges(of: CellTransform, dtype: torch.dtype, device: torch.device) -> _Edges:
    cells = of.cells
    values, masses = (torch.tensor(v, dtype=torch.float64) for v in (cells.values, cells.masses))
    before = torch.cat([masses.new_zeros(1), masses.cumsum(0)])
    after = torch.cat([masses.flip(0).cumsum(0).flip(0), masses.new_zeros(1)])
    ends = torch.stack([values - cells.width / 2, values + cells.width / 2])
    t = (of._line(ends)[0] - cells.mean) / (cells.scale or 1.0)
    under, over = (cells.rest * torch.special.ndtr(sign * t) for sign in (1, -1))
    low, above = before[:-1] + under[0], after[1:] + over[1]
    height = masses + (under[1] - under[0])
    high, over_low = low + height, above + height
    z_low = torch.where(low < over_low, _quantile(low.log()), -_quantile(over_low.log()))
    z_high = torch.where(high < above, _quantile(high.log()), -_quantile(above.log()))
    parts = (values, low, above, height, z_low, z_high, before, after)
    return _Edges(*(part.to(device=device, dtype=dtype) for part in parts))


_TINY = 1e-17
"""Least probability beside a point: uniform noise can lie on an end of its cell."""

_FAR = -600.0
"""Logarithm of the least probability that is told from zero, at 34 standard deviations."""


def _quantile(log_p: Tensor) -> Tensor:
    """Return z with log Phi(z) = log_p."""
    return torch.special.ndtri(log_p.clamp_min(_FAR).exp())
