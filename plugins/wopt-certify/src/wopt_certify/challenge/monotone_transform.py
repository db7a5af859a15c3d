"""Monotone maps of skewed, bounded or heavy-tailed columns, after which simple densities fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from wopt_certify.challenge.elliptical import Gaussians, Student
from wopt_certify.challenge.kernels import Axis, MarginalDensity
from wopt_certify.challenge.rows import Density
from wopt_certify.challenge.tree import Tree

__all__ = ["MonotoneTransform", "TransformedDensity"]

_BEYOND = (1e-4, 0.003, 0.03, 0.3)
"""Distances of an end beyond the outermost row, as fractions of its distance from the median."""
_WIDTH = 0.5
"""Bandwidth of the kernels that evaluate a column, in multiples of Silverman's n^(-1/5)."""
_ROWS = 2000
_LIKE_NORMAL = 0.15, 0.3
"""Skewness and excess kurtosis below which a column stays unchanged."""
_BETTER = 0.01
"""Nats by which a later candidate has to be better: the plainer ones come first."""
_CLEARLY = 2.0
"""Standard errors by which a warped column has to be likelier than the unchanged one."""


@dataclasses.dataclass(frozen=True)
class MonotoneTransform:
    """A monotone map of a column:  log(x - a),  -log(b - x),  log (x - a)/(b - x)  or  asinh.

    Attributes:
        low, high: The ends a and b; infinite where there is none.
        centre, scale: With a nonzero scale the map is asinh((x - centre) / scale), for tails on
            both sides.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, generator=rng, dtype=torch.float64).exp()  # log-normal
        >>> MonotoneTransform.best(x[:3000], x[3000:])
        MonotoneTransform(low=0.0, high=inf, centre=0.0, scale=0.0)
    """

    low: float = -math.inf
    high: float = math.inf
    centre: float = 0.0
    scale: float = 0.0

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> MonotoneTransform:
        """Return the map with the clearly best kernel density on ``hold``, shape ``(m,)``."""
        candidates = cls._candidates(fit)
        fit, hold = fit[:_ROWS], hold[:_ROWS]
        u = (fit - fit.mean()) / (fit.std() + 1e-300)
        moments = abs(float((u**3).mean())), abs(float((u**4).mean()) - 3)
        if all(moment < least for moment, least in zip(moments, _LIKE_NORMAL, strict=True)):
            return cls()
        plain = _likelihood(cls(), fit, hold)
        kept, most = cls(), 0.0
        for warp in candidates:
            gain = _likelihood(warp, fit, hold) - plain
            clear = float(gain.mean() - _CLEARLY * gain.std() / math.sqrt(len(gain)))
            if clear > most + _BETTER:
                kept, most = warp, clear
        return kept

    @classmethod
    def _candidates(cls, x: Tensor) -> Iterator[MonotoneTransform]:
        first, middle, last = float(x.min()), float(x.median()), float(x.max())
        lows = [0.0] * (first > 0) + [first - fraction * (middle - first) for fraction in _BEYOND]
        highs = [0.0] * (last < 0) + [last + fraction * (last - middle) for fraction in _BEYOND]
        for low in lows:
            yield cls(low=low)
        for high in highs:
            yield cls(high=high)
        spread = float((x - middle).abs().median())
        if spread > 0:
            yield cls(centre=middle, scale=spread)
        for low, high in zip(lows, highs, strict=False):
            yield cls(low, high)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log dz/dx, shape ``(n,)`` each; the latter is -inf outside the ends."""
        if self.scale:
            u = (x - self.centre) / self.scale
            return u.asinh(), -torch.log1p(u.square()) / 2 - math.log(self.scale)
        up, down = (x - self.low).clamp(min=1e-300), (self.high - x).clamp(min=1e-300)
        if math.isinf(self.low) and math.isinf(self.high):
            return x, torch.zeros_like(x)
        inside = (x > self.low) & (x < self.high)
        if math.isinf(self.high):
            z, slope = up.log(), -up.log()
        elif math.isinf(self.low):
            z, slope = -down.log(), -down.log()
        else:
            z, slope = up.log() - down.log(), math.log(self.high - self.low) - up.log() - down.log()
        return z, torch.where(inside, slope, -math.inf)


def _likelihood(warp: MonotoneTransform, fit: Tensor, hold: Tensor) -> Tensor:
    """Return the held-out log-density of a column by kernels with a Gaussian after the map."""
    (inside, _), (z, slope) = warp(fit), warp(hold)
    column, at = inside[:, None], z[:, None]
    line = MarginalDensity.of(column, [Axis.of(inside)], 0, _WIDTH * len(fit) ** (-1 / 5))
    return line.mixed(at[torch.isfinite(slope)])(at) + slope.clamp(min=-50.0)


class TransformedDensity:
    """p(x) = t(w(x)) prod_j w_j'(x_j),  w by columns and t the likeliest of three densities.

    For skewed, bounded and heavy-tailed columns: t is Student's law (with Gaussian columns a
    Gaussian copula), a tree, or a mixture of Gaussians. Outside of the ends p is zero.

    Source: Liu, Lafferty, Wasserman, *The nonparanormal*, 2009.

    Args:
        warps: The maps.
        fit: Rows, shape ``(n, d)``, float64.
        hold: Rows on which t is chosen, shape ``(m, d)``.
        seed: Seed of the mixture.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> z = torch.randn(6000, 2, generator=rng, dtype=torch.float64)
        >>> x = torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1).exp()
        >>> p = TransformedDensity.best(x[:4000], x[4000:5000], 0)
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> exact = normal.log_prob(z).sum(1) - math.log(0.6) - x.log().sum(1)
        >>> 0 < float((exact - p(x))[5000:].mean()) < 0.05
        True
    """

    def __init__(
        self, warps: Sequence[MonotoneTransform], fit: Tensor, hold: Tensor, seed: int
    ) -> None:
        self.warps = warps
        z, _ = self._inside(fit)
        self.shift, self.scale = z.mean(0), z.std(0) + 1e-12
        inner = self._standard(fit)[0]
        other, slope = self._standard(hold)
        other = other[torch.isfinite(slope)]
        trials: list[Density] = [Student.best(inner, other), Gaussians.best(inner, other, seed)]
        if fit.shape[1] > 1:
            trials.append(Tree(inner, other))
        self.density = max(trials, key=lambda one: float(one(other).mean()))

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, seed: int) -> TransformedDensity | None:
        """Choose the maps for rows ``(n, d)``; ``None`` if all columns are better unchanged."""
        fit, hold = fit.double(), hold.double()
        warps = [MonotoneTransform.best(a, b) for a, b in zip(fit.T, hold.T, strict=True)]
        return None if all(w == MonotoneTransform() for w in warps) else cls(warps, fit, hold, seed)

    def refit(self, x: Tensor) -> TransformedDensity:
        """Return the density with the same maps, fitted to the rows ``(n, d)`` inside the ends."""
        anew = object.__new__(TransformedDensity)
        anew.__dict__.update(self.__dict__)
        z, slope = self._standard(x.double())
        anew.density = self.density.refit(z[torch.isfinite(slope)])  # type: ignore[attr-defined]
        return anew

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        z, slope = self._standard(points.double())
        inside = torch.isfinite(slope)
        logs = torch.full_like(slope, -math.inf)
        logs[inside] = self.density(z[inside]) + slope[inside]
        return logs

    def _standard(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, slope = self._inside(x)
        return (z - self.shift) / self.scale, slope - self.scale.log().sum()

    def _inside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pairs = [warp(column) for warp, column in zip(self.warps, x.T, strict=True)]
        return torch.stack([z for z, _ in pairs], 1), torch.stack([s for _, s in pairs], 1).sum(1)
