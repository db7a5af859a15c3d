"""Bounds before the first step: W_2(p_0, q) from moments, and data smoothed by noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wopt_certify.bounds._numbers import Real, require_positive

__all__ = [
    "smoothed_kl",
    "smoothed_kl_from_distance",
    "smoothing_distance",
    "start_distance",
]

_LARGEST = 700.0
"""Largest argument of exp: float64 overflows at 709, and a quotient by it is 0 to 300 digits."""


def start_distance(
    second_moment: float,
    target_second_moment: float,
    mean: ArrayLike = 0.0,
    target_mean: ArrayLike = 0.0,
) -> float:
    """Return  W_2(p_0, q) <= (E|X|^2 + E|Z|^2 - 2 <E X, E Z>)^1/2,  the independent coupling's.

    Args:
        second_moment: E|X|^2 of the start, with the mean's part.
        target_second_moment: E|Z|^2 of the target.
        mean: E X.
        target_mean: E Z; either may be 0, the default.

    Source: docs/theory.md 1.6.

    Example:
        >>> start_distance(2.0, 2.0)
        2.0
    """
    inner = float(np.sum(np.asarray(mean, float) * np.asarray(target_mean, float)))
    # numpy's maximum keeps NaN, an unknown moment; Python's would make it a distance of 0.
    return float(np.sqrt(np.maximum(second_moment + target_second_moment - 2 * inner, 0.0)))


def smoothing_distance(second_moment: Real, dim: float, delta: float) -> Real:
    """Return  W_2(P, rho)^2 <= (1 - e^-delta)^2 M_2 + d (1 - e^-2delta),  as a distance.

    rho is the law of e^-delta X + (1 - e^-2delta)^1/2 Z, X of law P, Z standard normal: the
    Ornstein-Uhlenbeck process at time delta.

    Args:
        second_moment: M_2 = E|X|^2.
        dim: d.
        delta: Time, positive.

    Raises:
        UserError: delta is not positive.

    Source: docs/theory.md (1.12).

    Example:
        >>> round(float(smoothing_distance(4.0, 2, 0.01)), 4)
        0.2
    """
    require_positive("the time delta", delta, "smoothing", "without it the data stay as they are")
    shrink, noise = -math.expm1(-delta), -math.expm1(-2 * delta)
    return np.sqrt(shrink**2 * second_moment + dim * noise)


def smoothed_kl(second_moment: Real, dim: int, delta: float) -> Real:
    """Return  KL(rho|N(0, I)) <= (e^-2delta (M_2 - d) - d log(1 - e^-2delta)) / 2.

    It holds for any data, with equality for a Dirac, and starts Theorem P where the data have no
    density.

    Args:
        second_moment: M_2 = E|X|^2.
        dim: d.
        delta: Time, positive.

    Raises:
        UserError: delta is not positive.

    Source: docs/theory.md (1.13), by joint convexity of KL.

    Example:
        >>> round(float(smoothed_kl(4.0, 2, 0.5)), 4)
        0.8266
    """
    require_positive("the time delta", delta, "smoothing", "data may have no density without")
    noise = -math.expm1(-2 * delta)
    return (math.exp(-2 * delta) * (second_moment - dim) - dim * math.log(noise)) / 2


def smoothed_kl_from_distance(w2: Real, delta: float) -> Real:
    """Return  KL(rho|q) <= W_2(P, q)^2 / (2 (e^{2 delta} - 1)),  q = N(0, I).

    rho is that of :func:`smoothing_distance`. The proof is one line: from Diracs at x and z the
    flow is at two Gaussians with KL |x - z|^2 / (2 (e^2delta - 1)), and KL is jointly convex.

    Args:
        w2: W_2(P, q), or a bound of it.
        delta: Time, positive.

    Raises:
        UserError: delta is not positive.

    Source: docs/theory.md (1.14), the sharper form (Bobkov, Gentil, Ledoux 2001; Wang 2010).

    Example:
        >>> round(float(smoothed_kl_from_distance(2.0, 0.5)), 4)
        1.164
    """
    require_positive("the time delta", delta, "smoothing", "data may have no density without")
    return w2 * w2 / (2 * math.expm1(min(2 * delta, _LARGEST)))
