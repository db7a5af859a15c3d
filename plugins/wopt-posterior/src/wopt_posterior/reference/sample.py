"""The reference sample of a target: independent passes of a tempered sequential sampler."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt_posterior.reference.laws import Mixture
from wopt_posterior.reference.moves import LogDensity, move

__all__ = ["Reference", "passes", "pooled"]

_LEVELS, _STEPS = 80, 12
_EVEN = 0.8
"""Relative effective size of the weights from one temperature to the next."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """Points of a target in independent passes, each with its own estimate of log Z.

    Exact draws are passes of one point each.

    Attributes:
        points: The points, shape ``(m, d)``, float64; of every pass equally many.
        log_z: log Z by each pass, shape ``(k,)``, nats; the mean of exp is unbiased for Z.
    """

    points: Tensor
    log_z: Tensor

    @classmethod
    def exact(cls, draws: Tensor, log_z: float = math.nan) -> Reference:
        """Return exact draws, shape ``(m, d)``, as a reference sample."""
        return cls(draws, torch.full((len(draws),), log_z).double())

    @property
    def weights(self) -> Tensor:
        """The weights of the passes, shape ``(k,)``, which sum to one."""
        known = bool(self.log_z.isfinite().all())
        return (self.log_z if known else torch.zeros_like(self.log_z)).softmax(0)

    def mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of values ``(m, ...)`` under the target, and its standard error.

        The error is that of a ratio of means over the passes, so it has all that makes passes
        differ: chains that depend on each other, and modes that some of them miss.

        Example:
            >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).double()
            >>> mean, error = Reference.exact(x).mean(x[:, 0])
            >>> abs(float(mean)) < 4 * float(error), round(float(error), 3)
            (True, 0.032)
        """
        w = self.weights
        k = len(w)
        of_pass = values.reshape(k, -1, *values.shape[1:]).mean(1)
        mean = torch.tensordot(w, of_pass, 1)
        away = torch.tensordot(w.square(), (of_pass - mean).square(), 1)
        return mean, (away * k / max(k - 1, 1)).sqrt()

    def drawn(self, count: int, rng: torch.Generator) -> Tensor:
        """Return equally weighted points, shape ``(count, d)``, by the passes' weights."""
        each = len(self.points) // len(self.log_z)
        w = self.weights.repeat_interleave(each) / each
        rows = _drawn_again(w, rng, count)
        return self.points[rows[torch.randperm(count, generator=rng)]]


def pooled(done: list[tuple[Tensor, float]]) -> Reference:
    """Return the reference sample of finished passes: points ``(n, d)`` and log Z of each."""
    points, log_z = zip(*done, strict=True)
    return Reference(torch.cat(points), torch.tensor(log_z, dtype=torch.float64))


@torch.no_grad()
def passes(
    density: LogDensity, base: Mixture, count: int, rng: torch.Generator
) -> Iterator[tuple[Tensor, float]]:
    """Yield points that follow exp(-V)/Z, nearly, shape ``(count, d)``, with an estimate of log Z.

    A pass goes from a mixture g of known modes and a wide law through  p^b g^(1 - b)  with b from 0
    to 1: at each temperature points are drawn again by their weights and make Metropolis steps. As
    g has each known mode at its own width, b changes a mode's mass little, however narrow it is.
    Passes are independent, so their spread is the error of every estimate.

    Args:
        density: Log-density and score of the target.
        base: The law g.
        count: Number of points of a pass.
        rng: Random numbers.

    Source: Del Moral, Doucet, Jasra, *Sequential Monte Carlo samplers*, 2006; Tawn, Roberts,
    Rosenthal, *Weight-preserving simulated tempering*, 2020.
    """
    while True:
        yield _one(density, base, count, rng)


def _one(
    density: LogDensity, base: Mixture, count: int, rng: torch.Generator
) -> tuple[Tensor, float]:
    x, b, log_z = base.sample(count, rng), 0.0, 0.0
    half = count // 2
    for level in range(_LEVELS):
        gain = density(x)[0] - base(x)[0]
        gain = torch.where(gain.isfinite(), gain, -torch.inf)
        if not bool((gain > -torch.inf).any()):
            raise DataError("log_prob is finite at none of the points from which sampling starts")
        least = b ** (1 - 1 / (_LEVELS - level))  # so that it ends, by equal factors
        after = max(least, _next(gain, b))
        log_w = (after - b) * gain
        log_z += float(log_w.logsumexp(0)) - math.log(count)
        x = x[_drawn_again(log_w.softmax(0), rng, count)]
        b = after
        law = _between(base, density, b)
        x = x[torch.randperm(count, generator=rng)]
        for _ in range(_STEPS):  # each half by proposals that the other shapes
            left = move(law, x[:half], x[half:], rng)
            x = torch.cat([left, move(law, x[half:], left, rng)])
        if b >= 1:
            break
    return x, log_z


def _between(first: LogDensity, last: LogDensity, b: float) -> LogDensity:
    def density(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tempered log-density, shape ``(n,)``, and its gradient, ``(n, d)``."""
        (f, df), (g, dg) = last(x), first(x)
        return b * f + (1 - b) * g, b * df + (1 - b) * dg

    return density if b < 1 else last


def _next(gain: Tensor, b: float) -> float:
    """Return the largest temperature at which weights are still even enough, by bisection."""

    def even(after: float) -> bool:
        w = ((after - b) * gain).softmax(0)
        return float(1 / w.square().sum()) >= _EVEN * int(gain.isfinite().sum())

    if even(1.0):
        return 1.0
    low, high = b, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if even(middle) else (low, middle)
    return low


def _drawn_again(w: Tensor, rng: torch.Generator, count: int) -> Tensor:
    """Return indices drawn by weights, systematically."""
    levels = (torch.arange(count) + torch.rand((), generator=rng)) / count
    return torch.searchsorted(w.cumsum(0), levels.to(w)).clamp_max(len(w) - 1)
