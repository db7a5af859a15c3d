"""Values with a probability each beside a density: the map of such a column to a normal law."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.data.quantile_transform import normal_log_density

__all__ = ["Cells"]

Line = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Cells:
    """The law of values a_k of mass m_k beside a density of mass m_0 = 1 - sum_k m_k.

    Uniform noise spreads a value over a cell of width w around it. The map is

        z = Phi^-1(U(x)),    U(x) = sum_{cells below x} m_k + m_0 Phi((y(x) - mean) / scale),

    linear in x within a cell, so that z is standard normal if the masses are right and y, the
    image of x on the line, is normal where x is no a_k. All masses are intervals of z, however
    narrow the cells are. Source: Rüschendorf (2009), On the distributional transform, Sklar's
    theorem, and the empirical copula process.

    Attributes:
        values: The values a_k, increasing.
        masses: Their probabilities m_k.
        width: Width w of the cells, which do not overlap.
        mean: Mean of y beside the cells.
        scale: Standard deviation of y beside the cells.

    Example:
        >>> zeros = Cells((0.0,), (0.5,), 0.1, 0.0, 1.0)  # half zeros, half normal
        >>> x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
        >>> z = zeros.forward(x, lambda x: x)
        >>> back = zeros.inverse(z, lambda y: y, lambda x: x)
        >>> round(float(z[2]), 3), bool(torch.allclose(back, x))
        (1.41, True)
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

    def forward(self, x: Tensor, line: Line) -> Tensor:
        """Return z, of the shape of x; ``line`` maps x to y."""
        return self._mapped(x, line)[0]

    def log_slope(self, x: Tensor, line: Line, log_slope: Line) -> Tensor:
        """Return log dz/dx, of the shape of x; minus infinity where the law has no mass."""
        z, y, inside = self._mapped(x, line)
        t = (y - self.mean) / (self.scale or 1.0)
        k, _ = self.at(x)
        height = self._edges(line, x.dtype, x.device).height[k]
        rest = math.log(self.rest) if self.rest else -math.inf
        beside = rest + normal_log_density(t) - math.log(self.scale or 1.0) + log_slope(x)
        return torch.where(inside, (height / self.width).log(), beside) - normal_log_density(z)

    def inverse(self, z: Tensor, back: Line, line: Line) -> Tensor:
        """Return x, of the shape of z; ``back`` maps y to x."""
        edges = self._edges(line, z.dtype, z.device)
        k = torch.bucketize(z.detach().contiguous(), edges.z_low, right=True) - 1
        here = k.clamp(min=0)
        inside = (k >= 0) & (z < edges.z_high[here]) if self.rest else torch.ones_like(z).bool()
        below, above = torch.special.ndtr(z), torch.special.ndtr(-z)
        up = (below - edges.low[here]) / edges.height[here]
        down = (above - edges.above[here]) / edges.height[here]
        fraction = torch.where(z < 0, up, 1 - down).clamp(0, 1)
        cell = edges.values[here] + self.width * (fraction - 0.5)
        if not self.rest:
            return cell
        t = self._free(z, edges.before[k + 1], edges.after[k + 1])
        return torch.where(inside, cell, back(self.mean + self.scale * t))

    def _free(self, z: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Return t with  U = before + m_0 Phi(t)  or  1 - U = after + m_0 Phi(-t)."""
        rest = self.rest

        def of(side: Tensor, other: Tensor) -> Tensor:
            log_share = torch.where(
                other > 0,
                ((torch.special.ndtr(side) - other) / rest).clamp(_TINY, 1).log(),
                torch.special.log_ndtr(side) - math.log(rest),
            )
            return _quantile(log_share)

        return torch.where(z < 0, of(z, before), -of(-z, after))

    def _mapped(self, x: Tensor, line: Line) -> tuple[Tensor, Tensor, Tensor]:
        edges = self._edges(line, x.dtype, x.device)
        k, inside = self.at(x)
        y = line(x)
        fraction = ((x - edges.values[k]) / self.width + 0.5).clamp(0, 1)
        low = (edges.low[k] + fraction * edges.height[k]).clamp_min(_TINY).log()
        high = (edges.above[k] + (1 - fraction) * edges.height[k]).clamp_min(_TINY).log()
        if self.rest:
            t, rest = (y - self.mean) / self.scale, math.log(self.rest)
            past = k + (x > edges.values[k])
            free_low = torch.logaddexp(edges.before[past].log(), rest + torch.special.log_ndtr(t))
            free_high = torch.logaddexp(edges.after[past].log(), rest + torch.special.log_ndtr(-t))
            low = torch.where(inside, low, free_low)
            high = torch.where(inside, high, free_high)
        z = torch.where(low < high, _quantile(low), -_quantile(high))
        return z, y, inside

    def _edges(self, line: Line, dtype: torch.dtype, device: torch.device) -> _Edges:
        ends = torch.tensor(self.values, dtype=torch.float64)
        ends = torch.stack([ends - self.width / 2, ends + self.width / 2])
        y = line(ends)
        return _edges(self, tuple(y[0].tolist()), tuple(y[1].tolist()), dtype, device)


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
def _edges(
    cells: Cells,
    left: tuple[float, ...],
    right: tuple[float, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> _Edges:
    masses = torch.tensor(cells.masses, dtype=torch.float64)
    before = torch.cat([masses.new_zeros(1), masses.cumsum(0)])
    after = torch.cat([masses.flip(0).cumsum(0).flip(0), masses.new_zeros(1)])
    ends = torch.tensor([left, right], dtype=torch.float64)
    t = (ends - cells.mean) / (cells.scale or 1.0)
    under, over = (cells.rest * torch.special.ndtr(sign * t) for sign in (1, -1))
    low, above = before[:-1] + under[0], after[1:] + over[1]
    height = masses + (under[1] - under[0])
    high, over_low = low + height, above + height
    z_low = torch.where(low < over_low, _quantile(low.log()), -_quantile(over_low.log()))
    z_high = torch.where(high < above, _quantile(high.log()), -_quantile(above.log()))
    values = torch.tensor(cells.values, dtype=torch.float64)
    parts = (values, low, above, height, z_low, z_high, before, after)
    return _Edges(*(part.to(device=device, dtype=dtype) for part in parts))


_TINY = 1e-17
"""Least probability beside a point: uniform noise can lie on an end of its cell."""

_FAR = -600.0
"""Logarithm of the least probability that is told from zero, at 34 standard deviations."""


def _quantile(log_p: Tensor) -> Tensor:
    """Return z with log Phi(z) = log_p."""
    return torch.special.ndtri(log_p.clamp_min(_FAR).exp())
