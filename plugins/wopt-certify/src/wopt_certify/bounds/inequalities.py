"""Inequalities at one measure, what is known before the first step, and checks of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wopt.errors import UserError

__all__ = [
    "Array",
    "Numbers",
    "Real",
    "Steps",
    "each_step",
    "log_sobolev",
    "require_positive",
    "smoothed_kl",
    "smoothed_kl_from_distance",
    "smoothing_distance",
    "start_distance",
    "steps_of",
    "transport_entropy",
    "tv",
]

Array = NDArray[np.float64]
Numbers = float | Array
"""A number, or a batch of them."""
Steps = Sequence[float] | Array
"""One number per step; in an array the first axis is the step and the others are a batch."""
Real = TypeVar("Real", float, NDArray[np.float64])


def steps_of(step_sizes: ArrayLike, errors: ArrayLike) -> tuple[Array, Array]:
    """Return step sizes and errors with one common first axis; unknown errors are NaN."""
    h, eps = np.asarray(step_sizes, dtype=float), np.asarray(errors, dtype=float)
    if h.ndim == 0 or (eps.ndim > 0 and len(eps) != len(h)):
        raise UserError(
            "a bound along a run takes a step size and an error for each step, got shapes "
            f"{h.shape} and {eps.shape}; repeat a constant, as in numpy.full(steps, h)"
        )
    if not np.all(h > 0):
        raise UserError("step sizes must be positive")
    if np.any(eps < 0):
        raise UserError("errors are norms, so they cannot be negative")
    return h, (np.broadcast_to(eps, h.shape) if eps.ndim == 0 else eps)


def each_step(
    step: Callable[[Numbers, Numbers, Numbers], Numbers],
    initial: Numbers,
    steps: Iterable[tuple[Numbers, Numbers]],
) -> Array:
    """Return the values after each step of  x -> step(x, h, eps),  without the initial value."""
    values, value = [], initial
    for h, eps in steps:
        value = step(value, h, eps)
        values.append(value)
    return np.array(values, dtype=float)


def require_positive(what: str, value: Numbers, who: str, instead: str) -> None:
    """Raise unless ``value`` is positive."""
    if not np.all(np.asarray(value) > 0):
        raise UserError(f"{who} needs {what} > 0, got {value}; {instead}")


_INSTEAD = "without it KL is not controlled by the gradient"


def log_sobolev(fisher: Real, lam: float) -> Real:
    """Return the bound  KL(p|q) <= I(p|q) / (2 lambda).

    I = E_p |grad V + grad log p|^2 is the squared norm of the Wasserstein gradient.

    Conditions: q satisfies a log-Sobolev inequality with constant lambda > 0, for instance
    because its potential is lambda-convex (Bakry, Emery); equality for shifted Gaussians.

    Args:
        fisher: I(p|q).

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md (1.10).

    Example:
        >>> log_sobolev(9.0, 1.0)  # N(3, 1) and N(0, 1), whose KL is 9/2
        4.5
    """
    require_positive("lambda", lam, "the log-Sobolev bound", _INSTEAD)
    return fisher / (2 * lam)


def transport_entropy(kl: Real, lam: float) -> Real:
    """Return the bound  W_2(p, q) <= (2 KL(p|q) / lambda)^1/2  (T2).

    Conditions are those of :func:`log_sobolev`, which implies it (Otto, Villani); equality for
    shifted Gaussians.

    Args:
        kl: KL(p|q), or a bound of it.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md 1.6, Theorem Q.

    Example:
        >>> float(transport_entropy(4.5, 1.0))
        3.0
    """
    require_positive("lambda", lam, "the transport-entropy bound", _INSTEAD)
    return np.sqrt(2 * kl / lam)


def tv(kl: Real) -> Real:
    """Return the bound  TV <= min{(KL/2)^1/2, (1 - exp(-KL))^1/2}.

    TV is the largest difference of the two probabilities of one event, at most 1. The first term
    is Pinsker's, the smaller one up to KL = 1.59; the second (Bretagnolle, Huber 1979) is always
    below 1.

    Args:
        kl: KL, or a bound of it, in either order of the two measures.

    Example:
        >>> float(tv(0.02)), round(float(tv(3.0)), 4)
        (0.1, 0.9748)
    """
    return np.minimum(np.sqrt(kl / 2), np.sqrt(-np.expm1(-kl)))


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
