"""Monotone functions of one variable from parameters that are zero for the identity."""

from __future__ import annotations

import abc
from typing import Literal

import torch
from torch import Tensor, nn

from wopt.statistics import some
from wopt_blocks.rational import inverse_spline, log_slope, spline

__all__ = ["Monotone", "MonotoneName", "Tails", "monotone", "reach"]

MonotoneName = Literal["affine", "affine_spline", "spline"]
Tails = Literal["linear", "logarithmic"]

_LEAST_BOUND = 5.0
_SHARE, _MARGIN = 0.999, 1.5
_BEYOND = 1.1


class Monotone(nn.Module, abc.ABC):
    """Increasing functions S, one a coordinate and point.

    Attributes:
        numbers: P, how many parameters one takes.
    """

    numbers: int

    def see(self, points: Tensor) -> None:
        """Be told of the points on which S will act."""

    @abc.abstractmethod
    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S(x), log S'(x))`` of parameters ``(P, d, n)`` at points ``(d, n)``."""

    @abc.abstractmethod
    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S^-1(y), the logarithm of its slope)``."""


class MonotoneAffine(Monotone):
    """S(x) = exp(a) x + b, 1e-3 < exp(a) < 1e3."""

    numbers = 2

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S(x), log S'(x))``."""
        a, b = raw
        a = log_slope(a)
        return a.exp() * x + b, a

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S^-1(y), the logarithm of its slope)``."""
        a, b = raw
        a = log_slope(a)
        return (y - b) * (-a).exp(), -a


class MonotoneSpline(Monotone):
    """The rational-quadratic splines of :func:`~wopt_blocks.rational.spline`.

    A bound that is not given is that of :func:`reach`.

    Args:
        bins: K.
        bound: B, half the side of the box; none to have it chosen by the points.
    """

    bound: Tensor

    def __init__(self, bins: int, bound: float | None) -> None:
        super().__init__()
        self.numbers = 3 * bins - 1
        self.fixed = bound is not None
        # A buffer, so that a bound taken from the points is saved with the parameters.
        self.register_buffer("bound", torch.tensor(bound or _LEAST_BOUND))

    def see(self, points: Tensor) -> None:
        """Choose the bound, unless it was given."""
        if not self.fixed:
            self.bound.fill_(reach(points))

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S(x), log S'(x))``."""
        return spline(raw, x, self.bound)

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S^-1(y), the logarithm of its slope)``."""
        return inverse_spline(raw, y, self.bound)


class MonotoneAffineSpline(MonotoneSpline):
    """S(x) = R(exp(a) x + b), R a spline: the affine map brings into the box what is to be bent."""

    def __init__(self, bins: int, bound: float | None) -> None:
        super().__init__(bins, bound)
        self.affine = MonotoneAffine()
        self.numbers += self.affine.numbers

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S(x), log S'(x))``."""
        ours, bent = self._split(raw)
        z, log_scale = self.affine(ours, x)
        y, log_bend = super().forward(bent, z)
        return y, log_scale + log_bend

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S^-1(y), the logarithm of its slope)``."""
        ours, bent = self._split(raw)
        z, log_bend = super().inverse(bent, y)
        x, log_scale = self.affine.inverse(ours, z)
        return x, log_scale + log_bend

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        few = self.affine.numbers
        ours, bent = raw.split([few, len(raw) - few])
        return ours, bent


class MonotoneLimited(Monotone):
    """L(S(x)), of which L is the identity up to c and grows like a logarithm beyond.

        L(y) = sign(y) (c + log(1 + |y| - c)) where |y| > c.

    c is a tenth beyond the largest |coordinate| of the points, and 5 at least.

    Args:
        inner: S.
    """

    limit: Tensor

    def __init__(self, inner: Monotone) -> None:
        super().__init__()
        self.inner, self.numbers = inner, inner.numbers
        # Nothing is beyond it before there are points. Finite, as its multiples in gradients are.
        self.register_buffer("limit", torch.tensor(torch.finfo(torch.float32).max))

    def see(self, points: Tensor) -> None:
        """Choose c, and let S see the points too."""
        self.inner.see(points)
        least, most = points.detach().aminmax()
        self.limit.copy_((_BEYOND * torch.maximum(-least, most)).clamp(min=_LEAST_BOUND))

    def forward(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(L(S(x)), its log-slope)``."""
        y, log_slopes = self.inner(raw, x)
        beyond = (y.abs() - self.limit).clamp_min(0)
        far = y.sign() * (self.limit + beyond.log1p())
        return torch.where(beyond > 0, far, y), log_slopes - beyond.log1p()

    def inverse(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(the x of which it is the image, the logarithm of the inverse's slope)``."""
        beyond = (y.abs() - self.limit).clamp_min(0)
        far = y.sign() * (self.limit + beyond.expm1())
        x, log_slopes = self.inner.inverse(raw, torch.where(beyond > 0, far, y))
        return x, log_slopes + beyond


def reach(points: Tensor) -> Tensor:
    """Return 1.5 times the 99.9 % quantile of the points' |coordinates|, and 5 at least."""
    sizes = some(points).detach().abs().flatten()
    rank = max(1, round(_SHARE * len(sizes)))
    return (_MARGIN * sizes.kthvalue(rank).values).clamp(min=_LEAST_BOUND)


def monotone(
    name: MonotoneName, bins: int, bound: float | None, tails: Tails = "linear"
) -> Monotone:
    """Return the functions of a name; ``bins`` and ``bound`` are those of splines."""
    made: Monotone
    if name == "affine":
        made = MonotoneAffine()
    else:
        made = (MonotoneSpline if name == "spline" else MonotoneAffineSpline)(bins, bound)
    return made if tails == "linear" else MonotoneLimited(made)
