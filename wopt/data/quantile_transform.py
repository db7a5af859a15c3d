"""Curves: increasing maps of the line to itself that make a column's law nearly normal."""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

__all__ = ["QuantileTransform", "normal_log_density"]

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
