"""Rejection and resampling by importance weights, to bring a sampler nearer to its target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.typed import Typed

Draw = Callable[[int], tuple[Tensor, Tensor]]
"""Maps n to n independent draws of p, shape ``(n, d)``, and their log w, ``(n,)``, nats."""

_HALVINGS = 60


@dataclasses.dataclass(frozen=True)
class Rejection(Typed):
    """Steps that reject draws where p is too large for r and draw again: p_0 = p, p_1, ...

    With weights  w_k = r/p_k  of an unnormalised target r, a draw x of p_k is accepted with
    probability  alpha_k(x) = min(1, w_k(x)/c_k)  and otherwise replaced by another draw of p_k. So

        p_(k+1) = p_k (alpha_k + 1 - E alpha_k),    KL(p_(k+1) | r/Z) <= KL(p_k | r/Z).

    As p_k/p is a function of w = r/p alone, the density of p_1, p_2, ... costs nothing beyond that
    of p and r. Draws are independent. c_k is such that a given fraction is rejected; E alpha_k is
    estimated at the same draws, and the density is exact up to that.

    Attributes:
        log_c: log c_k of each step, nats.
        kept: E alpha_k of each step.

    Source: docs/theory (3.1); Hertrich, Gruhlke, *Importance corrected neural JKO sampling*,
    2025.

    Example:
        >>> one = Rejection((0.0,), (0.75,))  # r uniform on [0, 1], p = 1/2 on [0, 2]
        >>> one.log_factor(torch.tensor([2.0, 0.5]).log()).exp()  # alpha 1 and 1/2
        tensor([1.2500, 0.7500])
    """

    log_c: tuple[float, ...]
    kept: tuple[float, ...]

    @classmethod
    def fitted(cls, log_w: Tensor, steps: int, rate: float = 0.2) -> Rejection:
        """Return steps that each reject a given fraction of their draws.

        Args:
            log_w: log w at independent draws of p, shape ``(n,)``, nats; -infinity where r is 0.
            steps: Number of steps.
            rate: The fraction rejected, 1 - E alpha_k.

        Example:
            >>> log_w = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
            >>> [round(share, 6) for share in Rejection.fitted(log_w, 2, 0.2).kept]
            [0.8, 0.8]
        """
        found = cls((), ())
        for _ in range(steps):
            log_factor = found.log_factor(log_w.double())
            at, law = log_w.double() - log_factor, log_factor.softmax(0)
            low, high = float(at[at.isfinite()].min()), float(at.max()) - math.log1p(-rate)
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                enough = _kept(at, law, middle) < 1 - rate
                low, high = (low, middle) if enough else (middle, high)
            found = cls((*found.log_c, high), (*found.kept, _kept(at, law, high)))
        return found

    def log_factor(self, log_w: Tensor) -> Tensor:
        """Return log(p_K/p) where log(r/p) is ``log_w``, of the same shape, nats."""
        total = torch.zeros_like(log_w)
        for log_c, kept in zip(self.log_c, self.kept, strict=True):
            total = total + torch.log(_stays(log_w - total, log_c) + (1 - kept))
        return total

    def sample(self, draw: Draw, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return n independent draws of p_K, shape ``(n, d)``, and log(r/p) there, ``(n,)``.

        p is drawn n prod_k (2 - E alpha_k) times on average.

        Args:
            draw: Draws from p.
            n: Number of draws.
            rng: Random numbers for acceptance.
        """
        return self._sample(draw, n, rng, len(self.log_c))

    @property
    def proposals(self) -> float:
        """Mean number of draws of p for one of p_K."""
        return math.prod(2 - kept for kept in self.kept)

    def _sample(
        self, draw: Draw, n: int, rng: torch.Generator, steps: int
    ) -> tuple[Tensor, Tensor]:
        if steps == 0 or n == 0:
            return draw(n)
        x, log_w = self._sample(draw, n, rng, steps - 1)
        before = Rejection(self.log_c[: steps - 1], self.kept[: steps - 1])
        stays = _stays(log_w - before.log_factor(log_w), self.log_c[steps - 1])
        u = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
        again = (u >= stays.to(u)).nonzero()[:, 0].to(x.device)
        if len(again):
            y, of_y = self._sample(draw, len(again), rng, steps - 1)
            x, log_w = x.index_copy(0, again, y), log_w.index_copy(0, again, of_y)
        return x, log_w


def _stays(log_w: Tensor, log_c: float) -> Tensor:
    return (log_w - log_c).clamp_max(0.0).exp()


def _kept(log_w: Tensor, law: Tensor, log_c: float) -> float:
    return float(law @ _stays(log_w, log_c))
