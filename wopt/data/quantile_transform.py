"""Increasing maps of one coordinate: curves by quantiles, and intervals to the whole line."""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

from wopt.bijection import Bijection


@dataclasses.dataclass(unsafe_hash=True)
class Interval(Bijection):
    """The map of an interval to the whole line, for numbers of any shape.

        y = log (x - a) on (a, oo),   -log (b - x) on (-oo, b),   log ((x - a) / (b - x)) on (a, b),

    and with a finite scale s, where one end is infinite, log (exp(u/s) - 1) of the distance u to
    the other: nearly log (u/s) below s, and u/s above. It is finite also at the ends and beyond,
    where its log-slope is minus infinity. With one end and a positive k it is the map of the whole
    line: below u = k, and beyond the end, it goes on as y(k) - log (1 + y'(k) (k - u)).

    Attributes:
        low, high: The ends a and b, of which one may be infinite.
        scale: The scale s.
        least: The distance k to the only end within which nothing was seen.

    Example:
        >>> y, log_slope = Interval(0.0, 1.0)(torch.tensor([0.5, 0.75, 2.0]))
        >>> y[:2].tolist(), log_slope.exp().tolist()
        ([0.0, 1.0986123085021973], [4.0, 5.333333492279053, 0.0])
        >>> believed = Interval(0.0, float("inf"), 1.0, least=0.1)
        >>> y, log_slope = believed(torch.tensor([-0.1, 1.0], dtype=torch.float64))
        >>> bool(log_slope.isfinite().all()), [round(v, 6) for v in believed.inverse(y)[0].tolist()]
        (True, [-0.1, 1.0])
    """

    low: float
    high: float
    scale: float = math.inf
    least: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return y and log dy/dx, of the shape of x."""
        outside = (x < self.low) | (x > self.high)
        if math.isfinite(self.high - self.low):
            below = _distance(x - self.low, self.low).log()
            above = _distance(self.high - x, self.high).log()
            log_slope = math.log(self.high - self.low) - below - above
            return below - above, torch.where(outside, -math.inf, log_slope)
        side, end = (1, self.low) if math.isinf(self.high) else (-1, self.high)
        u = (x - end) * side
        if not self.least:
            y, log_slope = self._near(_distance(u, end))
            return side * y, torch.where(outside, -math.inf, log_slope)
        y, log_slope = self._near(u.clamp_min(self.least))
        far = torch.log1p(log_slope.exp() * (self.least - u).clamp_min(0))
        return side * (y - far), log_slope - far

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x, in [a, b] unless that is the whole line, and log dx/dy, of the shape of y."""
        if math.isinf(self.high):
            x = self.low + self._away(y)
        elif math.isinf(self.low):
            x = self.high - self._away(-y)
        else:  # from the nearer end, so that digits are kept on either side
            near = (self.high - self.low) * (-y.abs()).sigmoid()
            x = torch.where(y < 0, self.low + near, self.high - near)
        x = x if self.least else x.clamp(self.low, self.high)
        return x, -self(x)[1]

    def _near(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return y and log dy/du at distances u from the only end, of the shape of u."""
        if math.isinf(self.scale):
            y = u.log()
            return y, -y
        v = u / self.scale
        rise = (-torch.expm1(-v)).log()
        return v + rise, -rise - math.log(self.scale)

    def _away(self, y: Tensor) -> Tensor:
        """Return the distance to the only end."""
        if math.isinf(self.scale):
            u = y.exp()
        else:
            u = self.scale * torch.logaddexp(y, torch.zeros_like(y))
        if not self.least:
            return u
        at_least, log_slope = self._near(y.new_tensor(self.least))
        below = (at_least - y).clamp_min(0)
        return u.clamp_min(self.least) - torch.expm1(below) / log_slope.exp()


def _distance(x: Tensor, end: float) -> Tensor:
    """Return distances to an end, at least the spacing of numbers there, for finite logs."""
    info = torch.finfo(x.dtype)
    return x.clamp(min=max(info.eps * abs(end), info.tiny))


_TAIL = 0.25
"""r, between a normal and a log-normal tail; rows beyond the last knots are too few to fit it."""


@dataclasses.dataclass(unsafe_hash=True)
class QuantileTransform(Bijection):
    """A monotone rational-quadratic spline c, once continuously differentiable, with tails.

    Between knots, with t = (x - x_k)/(x_{k+1} - x_k), the secant s_k and slopes d_k at the knots,

        c = z_k + (z_{k+1} - z_k) (s_k t^2 + d_k t (1-t)) / (s_k + (d_{k+1} + d_k - 2 s_k) t (1-t)),

    and beyond the last knot, u = x - x_K, and likewise below the first one,

        c = z_K + log(1 + r d_K u) / r,    r = 1/4:

    whose slope falls like 1/u: tails between those of a normal law (r = 0) and of a log-normal one
    (r = 1), since new rows cost far more in a tail that is too light than in one too heavy.
    The inverse is in closed form. Source: Gregory and Delbourgo (1982), Piecewise rational
    quadratic interpolation to monotonic data; Durkan et al. (2019), Neural Spline Flows.

    Attributes:
        x: Knots, increasing.
        z: Values at the knots, increasing.
        slopes: Derivatives at the knots, positive.

    Example:
        >>> curve = QuantileTransform((1.0, 2.0), (0.0, 0.7), (1.0, 0.5))  # nearly log x
        >>> x = torch.tensor([-3.0, 1.5, 100.0], dtype=torch.float64)
        >>> z, _ = curve(x)
        >>> [round(v, 3) for v in z.tolist()], bool(torch.allclose(curve.inverse(z)[0], x))
        ([-2.773, 0.41, 11.036], True)
    """

    x: tuple[float, ...]
    z: tuple[float, ...]
    slopes: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return c(x) and log c'(x), of the shape of x."""
        piece = _Piece(self, x, self.x)
        t = ((x - piece.x) / piece.width).clamp(0, 1)
        up = piece.secant * t * t + piece.left * t * (1 - t)
        over = piece.right * t * t + 2 * piece.secant * t * (1 - t) + piece.left * (1 - t) ** 2
        under = piece.secant + piece.bend * t * (1 - t)
        z = piece.z + piece.height * up / under
        log_slope = 2 * piece.secant.log() + over.log() - 2 * under.log()
        for sign, x_end, z_end, slope in self._tails():
            u = (sign * (x - x_end)).clamp_min(0)
            far = torch.log1p(_TAIL * slope * u)
            z = torch.where(u > 0, z_end + sign * far / _TAIL, z)
            log_slope = torch.where(u > 0, math.log(slope) - far, log_slope)
        return z, log_slope

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x with c(x) = y, and log dx/dy, of the shape of y."""
        piece = _Piece(self, y, self.z)
        up = (y - piece.z).clamp_min(0).minimum(piece.height)
        a = piece.height * (piece.secant - piece.left) + up * piece.bend
        b = piece.height * piece.left - up * piece.bend
        root = (b * b + 4 * a * piece.secant * up).clamp_min(0).sqrt()
        x = piece.x + piece.width * 2 * piece.secant * up / (b + root)
        for sign, x_end, z_end, slope in self._tails():
            v = (sign * (y - z_end)).clamp_min(0)
            far = x_end + sign * torch.expm1(_TAIL * v) / (_TAIL * slope)
            x = torch.where(v > 0, far, x)
        return x, -self(x)[1]

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density at x, of its shape, nats, of c^-1(Z) for standard normal Z."""
        z, log_slope = self(x)
        return normal_log_density(z) + log_slope

    def _tails(self) -> tuple[tuple[float, float, float, float], ...]:
        """Return sign, end, value and slope of the lower and the upper tail."""
        return (
            (-1.0, self.x[0], self.z[0], self.slopes[0]),
            (1.0, self.x[-1], self.z[-1], self.slopes[-1]),
        )


def normal_log_density(z: Tensor) -> Tensor:
    """Return the log-density of the standard normal law, of the shape of z, nats."""
    return -0.5 * (z.square() + math.log(2 * math.pi))


@functools.lru_cache(maxsize=256)
def _knots(
    curve: QuantileTransform, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Return knots, values and slopes as tensors, sent to a device once."""
    return tuple(
        torch.tensor(v, dtype=dtype, device=device) for v in (curve.x, curve.z, curve.slopes)
    )


class _Piece:
    """For each value, the piece between two knots that contains it."""

    def __init__(self, curve: QuantileTransform, values: Tensor, ends: tuple[float, ...]) -> None:
        # Computed once for all pieces, so that values only gather their own.
        x, z, slopes = _knots(curve, values.dtype, values.device)
        inner = (x if ends is curve.x else z)[1:-1].contiguous()
        k = torch.bucketize(values.detach().contiguous(), inner, right=True)
        width, height = x.diff(), z.diff()
        secant = height / width
        self.x, self.z, self.width, self.height = x[k], z[k], width[k], height[k]
        self.secant, self.left, self.right = secant[k], slopes[k], slopes[k + 1]
        self.bend = (slopes[1:] + slopes[:-1] - 2 * secant)[k]
