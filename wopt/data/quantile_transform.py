"""Increasing maps of the line: curves by quantiles, and intervals to the whole line."""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

__all__ = ["QuantileTransform", "from_line", "log_slope", "normal_log_density", "to_line"]


def to_line(x: Tensor, low: float, high: float, scale: float = math.inf) -> Tensor:
    """Return the image of x in an interval on the line, of the shape of x, finite.

    It is log ((x - a) / (b - x)) between two ends and, with u the distance to the only end,
    log u or, with a finite scale s, log (exp(u/s) - 1): nearly log(u/s) below s, and u/s above.

    Example:
        >>> to_line(torch.tensor([0.5, 0.75]), 0.0, 1.0).tolist()
        [0.0, 1.0986123085021973]
    """
    if math.isinf(high):
        return _log(_distance(x - low, low), scale)
    if math.isinf(low):
        return -_log(_distance(high - x, high), scale)
    return _distance(x - low, low).log() - _distance(high - x, high).log()


def from_line(y: Tensor, low: float, high: float, scale: float = math.inf) -> Tensor:
    """Return the inverse of :func:`to_line`, of the shape of y, always in ``[low, high]``."""
    if math.isinf(high):
        return (low + _exp(y, scale)).clamp(min=low)
    if math.isinf(low):
        return (high - _exp(-y, scale)).clamp(max=high)
    # From the nearer end, so that digits are kept on either side.
    width = high - low
    near = torch.where(y < 0, low + width * y.sigmoid(), high - width * (-y).sigmoid())
    return near.clamp(low, high)


def log_slope(x: Tensor, low: float, high: float, scale: float = math.inf) -> Tensor:
    """Return the log-derivative of :func:`to_line`, of the shape of x; -infinity outside.

    Example:
        >>> log_slope(torch.tensor([2.0, -1.0]), 0.0, math.inf).tolist()  # of log x: -log x
        [-0.6931471824645996, -inf]
    """
    total = torch.zeros_like(x)
    if not math.isinf(low):
        total = total - _rise(_distance(x - low, low), scale)
    if not math.isinf(high):
        total = total - _rise(_distance(high - x, high), scale)
    if not math.isinf(low) and not math.isinf(high):
        total = total + math.log(high - low)
    return torch.where((x < low) | (x > high), -math.inf, total)


def _log(u: Tensor, scale: float) -> Tensor:
    """Return log u, or log (exp(u/s) - 1) without overflow."""
    if math.isinf(scale):
        return u.log()
    v = u / scale
    return v + (-torch.expm1(-v)).log()


def _exp(y: Tensor, scale: float) -> Tensor:
    return y.exp() if math.isinf(scale) else scale * torch.logaddexp(y, torch.zeros_like(y))


def _rise(u: Tensor, scale: float) -> Tensor:
    """Return minus the log-derivative of :func:`_log`."""
    if math.isinf(scale):
        return u.log()
    return (-torch.expm1(-u / scale)).log() + math.log(scale)


def _distance(x: Tensor, end: float) -> Tensor:
    """Return distances to an end, at least the spacing of numbers there, for finite logs."""
    info = torch.finfo(x.dtype)
    return x.clamp(min=max(info.eps * abs(end), info.tiny))


_TAIL = 0.25
"""r, between a normal and a log-normal tail; rows beyond the last knots are too few to fit it."""


@dataclasses.dataclass(frozen=True)
class QuantileTransform:
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
        >>> z = curve(x)
        >>> [round(v, 3) for v in z.tolist()], bool(torch.allclose(curve.inverse(z), x))
        ([-2.773, 0.41, 11.036], True)
    """

    x: tuple[float, ...]
    z: tuple[float, ...]
    slopes: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Return c(x), of the shape of x."""
        piece = _Piece(self, x, self.x)
        t = ((x - piece.x) / piece.width).clamp(0, 1)
        up = piece.secant * t * t + piece.left * t * (1 - t)
        z = piece.z + piece.height * up / (piece.secant + piece.bend * t * (1 - t))
        for sign, x_end, z_end, slope in self._tails():
            u = (sign * (x - x_end)).clamp_min(0)
            far = z_end + sign * torch.log1p(_TAIL * slope * u) / _TAIL
            z = torch.where(u > 0, far, z)
        return z

    def inverse(self, z: Tensor) -> Tensor:
        """Return x with c(x) = z, of the shape of z."""
        piece = _Piece(self, z, self.z)
        y = (z - piece.z).clamp_min(0).minimum(piece.height)
        a = piece.height * (piece.secant - piece.left) + y * piece.bend
        b = piece.height * piece.left - y * piece.bend
        root = (b * b + 4 * a * piece.secant * y).clamp_min(0).sqrt()
        x = piece.x + piece.width * 2 * piece.secant * y / (b + root)
        for sign, x_end, z_end, slope in self._tails():
            v = (sign * (z - z_end)).clamp_min(0)
            far = x_end + sign * torch.expm1(_TAIL * v) / (_TAIL * slope)
            x = torch.where(v > 0, far, x)
        return x

    def log_slope(self, x: Tensor) -> Tensor:
        """Return log c'(x), of the shape of x."""
        piece = _Piece(self, x, self.x)
        t = ((x - piece.x) / piece.width).clamp(0, 1)
        over = piece.right * t * t + 2 * piece.secant * t * (1 - t) + piece.left * (1 - t) ** 2
        under = piece.secant + piece.bend * t * (1 - t)
        value = 2 * piece.secant.log() + over.log() - 2 * under.log()
        for sign, x_end, _, slope in self._tails():
            u = (sign * (x - x_end)).clamp_min(0)
            far = math.log(slope) - torch.log1p(_TAIL * slope * u)
            value = torch.where(u > 0, far, value)
        return value

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density at x, of its shape, nats, of c^-1(Z) for standard normal Z."""
        return normal_log_density(self(x)) + self.log_slope(x)

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
