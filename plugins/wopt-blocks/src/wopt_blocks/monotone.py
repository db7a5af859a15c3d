"""Monotone functions of one variable from parameters that are zero for the identity."""

from __future__ import annotations

import abc
from typing import Literal

import torch
from torch import Tensor, nn

from wopt.statistics import some
from wopt_blocks.rational import bounded_log_slope, inverse_spline, spline

MonotoneName = Literal["affine", "affine_spline", "spline"]
Tails = Literal["linear", "logarithmic", "defensive"]

_LEAST_BOUND = 5.0
_SHARE, _MARGIN = 0.999, 1.5
_BEYOND = 1.1


class Monotone(nn.Module, abc.ABC):
    """Increasing functions S, one for each coordinate and point.

    Attributes:
        numbers: Number P of parameters of one function.
    """

    numbers: int

    def initialise(self, points: Tensor) -> None:
        """Adapt to the points on which S will act, shape ``(n, d)``."""

    @abc.abstractmethod
    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S(x), log S'(x))`` of parameters ``(P, d, n)`` at points ``(d, n)``."""

    @abc.abstractmethod
    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return S^-1(y) and its log-slope, shapes ``(d, n)``, of y ``(d, n)``."""


class MonotoneAffine(Monotone):
    """S(x) = exp(a) x + b, 1e-3 < exp(a) < 1e3."""

    numbers = 2

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return S(x) and log S'(x), shapes ``(d, n)``."""
        a, b = raw
        a = bounded_log_slope(a)
        return a.exp() * x + b, a

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return S^-1(y) and its log-slope, shapes ``(d, n)``."""
        a, b = raw
        a = bounded_log_slope(a)
        return (y - b) * (-a).exp(), -a


class MonotoneSpline(Monotone):
    """The rational-quadratic splines of :func:`~wopt_blocks.rational.spline`.

    Without a bound, that of :func:`reach` is taken.

    Args:
        bound: Half the side B of the box; None lets the points choose it.
    """

    bound: Tensor

    def __init__(self, bins: int, bound: float | None) -> None:
        super().__init__()
        self.numbers = 3 * bins - 1
        self.fixed = bound is not None
        # A buffer, so that a bound taken from the points is saved with the parameters.
        self.register_buffer("bound", torch.tensor(bound or _LEAST_BOUND))

    def initialise(self, points: Tensor) -> None:
        """Choose the bound by points, shape ``(n, d)``, unless it was given."""
        if not self.fixed:
            self.bound.fill_(reach(points))

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return S(x) and log S'(x), shapes ``(d, n)``."""
        return spline(raw, x, self.bound)

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return S^-1(y) and its log-slope, shapes ``(d, n)``."""
        return inverse_spline(raw, y, self.bound)


class MonotoneAffineSpline(MonotoneSpline):
    """S(x) = R(exp(a) x + b), R a spline: the affine map brings points into the spline's box."""

    def __init__(self, bins: int, bound: float | None) -> None:
        super().__init__(bins, bound)
        self.affine = MonotoneAffine()
        self.numbers += self.affine.numbers

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return S(x) and log S'(x), shapes ``(d, n)``."""
        ours, bent = self._split(raw)
        z, log_scale = self.affine(ours, x)
        y, log_bend = super().forward(bent, z)
        return y, log_scale + log_bend

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return S^-1(y) and its log-slope, shapes ``(d, n)``."""
        ours, bent = self._split(raw)
        z, log_bend = super().inverse(bent, y)
        x, log_scale = self.affine.inverse(ours, z)
        return x, log_scale + log_bend

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        few = self.affine.numbers
        ours, bent = raw.split([few, len(raw) - few])
        return ours, bent


class MonotoneLimited(Monotone):
    """L(S(x)); L is the identity up to c and grows like a logarithm beyond.

        L(y) = sign(y) (c + log(1 + |y| - c)) where |y| > c.

    c is a tenth beyond the largest |coordinate| of the points, and 5 at least.
    """

    limit: Tensor

    def __init__(self, inner: Monotone) -> None:
        super().__init__()
        self.inner, self.numbers = inner, inner.numbers
        # At first no point is beyond it. It is finite so that its multiples in gradients are.
        self.register_buffer("limit", torch.tensor(torch.finfo(torch.float32).max))

    def initialise(self, points: Tensor) -> None:
        """Choose c by points, shape ``(n, d)``, and adapt S to them too."""
        self.inner.initialise(points)
        least, most = points.detach().aminmax()
        self.limit.copy_((_BEYOND * torch.maximum(-least, most)).clamp(min=_LEAST_BOUND))

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return L(S(x)) and its log-slope, shapes ``(d, n)``."""
        y, log_slopes = self.inner(raw, x)
        beyond = (y.abs() - self.limit).clamp_min(0)
        far = y.sign() * (self.limit + beyond.log1p())
        return torch.where(beyond > 0, far, y), log_slopes - beyond.log1p()

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the x with L(S(x)) = y and the inverse's log-slope, shapes ``(d, n)``."""
        beyond = (y.abs() - self.limit).clamp_min(0)
        far = y.sign() * (self.limit + beyond.expm1())
        x, log_slopes = self.inner.inverse(raw, torch.where(beyond > 0, far, y))
        return x, log_slopes + beyond


def reach(points: Tensor) -> Tensor:
    """Return 1.5 times the 99.9 % quantile of all |coordinates|, at least 5, shape ``()``."""
    sizes = some(points).detach().abs().flatten()
    rank = max(1, round(_SHARE * len(sizes)))
    return (_MARGIN * sizes.kthvalue(rank).values).clamp(min=_LEAST_BOUND)


def monotone(
    name: MonotoneName, bins: int, bound: float | None, tails: Tails = "linear"
) -> Monotone:
    """Return the functions that a name stands for; ``bins`` and ``bound`` are for splines."""
    made: Monotone
    if name == "affine":
        made = MonotoneAffine()
    else:
        made = (MonotoneSpline if name == "spline" else MonotoneAffineSpline)(bins, bound)
    return MonotoneLimited(made) if tails == "logarithmic" else made
