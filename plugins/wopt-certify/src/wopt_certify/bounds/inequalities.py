"""Inequalities at one measure, what is known before the first step, and checks of numbers.

Those that need a positive lambda (a log-Sobolev constant of q) or a positive time delta raise
UserError without it. M_2 is E|X|^2 of data of law P, and rho the law of e^-delta X +
(1 - e^-2delta)^1/2 Z with Z standard normal: the Ornstein-Uhlenbeck process at time delta.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wopt.errors import UserError

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

    Source: docs/theory (1.10).

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

    Source: docs/theory 1.6, Theorem Q.

    Example:
        >>> float(transport_entropy(4.5, 1.0))
        3.0
    """
    require_positive("lambda", lam, "the transport-entropy bound", _INSTEAD)
    return np.sqrt(2 * kl / lam)


@dataclasses.dataclass(frozen=True)
class Bound(Generic[Real]):
    """Upper bounds of the distance to the minimiser q.

    Attributes:
        w2: Bound of W_2(p, q).
        kl: Bound of KL(p|q), or of G(p) - G(q) for another objective.
    """

    w2: Real
    kl: Real


def a_posteriori(moved: Real, step_size: float | Real, error: Real, lam: float) -> Bound[Real]:
    """Return  KL <= (D/h + eps)^2 / (2 lambda)  and  W_2 <= (D/h + eps) / lambda.

    D/h + eps bounds the norm of the Wasserstein gradient at the new measure, so this is the
    log-Sobolev inequality without a score. It holds for every scheme that ends with a proximal
    step, with the base and the effective step of that one; the past does not matter.

    Conditions: KL to a q with a log-Sobolev inequality of constant lambda > 0, or any
    lambda-convex objective. Shifted Gaussians attain it.

    Args:
        moved: D = W_2(base, p); the root mean square movement is never below it.

    Source: docs/theory (1.11).

    Example:
        >>> a_posteriori(0.5, 0.5, 0.1, lam=1.0)
        Bound(w2=1.1, kl=0.6050000000000001)
    """
    require_positive("lambda", lam, "the a-posteriori bound", "no distance is certified without")
    gradient = moved / step_size + error
    return Bound(w2=gradient / lam, kl=gradient * gradient / (2 * lam))


def optimal_residual(residual: Real, gap: Real, step_size: float, lipschitz: Real) -> Real:
    """Return  eps <= |xi_T| + (Lip * gap)^1/2 / h,  the residual that the theorems use.

    They assume the optimal map from p_n to p_{n+1}; xi_T is computed with the block T. With
    gap = E|x - T x|^2 - W_2^2(p_n, p_{n+1}) the inverses of the two maps differ by
    (Lip * gap)^1/2 at most, in L^2(p_{n+1}).

    An objective that is convex along all couplings (potential, interaction energies) does not
    need it.

    Args:
        residual: |xi_T|.
        gap: The gap, or an upper bound (``transport_gap``).
        lipschitz: A Lipschitz constant of the *optimal* map from p_{n+1} to p_n. That of T^-1 is
            only a guess of it.

    Raises:
        UserError: A negative argument, or a step size that is not positive.

    Source: docs/theory (4.2).

    Example:
        >>> float(optimal_residual(0.1, 0.01, step_size=0.5, lipschitz=4.0))
        0.5
    """
    if not step_size > 0 or np.any(np.minimum(np.minimum(residual, gap), lipschitz) < 0):
        raise UserError(
            "a residual, a gap and a Lipschitz constant are not negative, and h is positive; got "
            f"{residual}, {gap}, {lipschitz} and {step_size}"
        )
    return residual + np.sqrt(lipschitz * gap) / step_size


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

    Source: docs/theory 1.6.

    Example:
        >>> start_distance(2.0, 2.0)
        2.0
    """
    inner = float(np.sum(np.asarray(mean, float) * np.asarray(target_mean, float)))
    # numpy's maximum keeps NaN, an unknown moment; Python's would make it a distance of 0.
    return float(np.sqrt(np.maximum(second_moment + target_second_moment - 2 * inner, 0.0)))


def smoothing_distance(second_moment: Real, dim: float, delta: float) -> Real:
    """Return  W_2(P, rho)^2 <= (1 - e^-delta)^2 M_2 + d (1 - e^-2delta),  as a distance.

    Source: docs/theory (1.12).

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

    Source: docs/theory (1.13), by joint convexity of KL.

    Example:
        >>> round(float(smoothed_kl(4.0, 2, 0.5)), 4)
        0.8266
    """
    require_positive("the time delta", delta, "smoothing", "data may have no density without")
    noise = -math.expm1(-2 * delta)
    return (math.exp(-2 * delta) * (second_moment - dim) - dim * math.log(noise)) / 2


def smoothed_kl_from_distance(w2: Real, delta: float) -> Real:
    """Return  KL(rho|q) <= W_2(P, q)^2 / (2 (e^{2 delta} - 1)),  q = N(0, I).

    The proof is one line: from Diracs at x and z the flow is at two Gaussians with KL
    |x - z|^2 / (2 (e^2delta - 1)), and KL is jointly convex.

    Source: docs/theory (1.14), the sharper form (Bobkov, Gentil, Ledoux 2001; Wang 2010).

    Example:
        >>> round(float(smoothed_kl_from_distance(2.0, 0.5)), 4)
        1.164
    """
    require_positive("the time delta", delta, "smoothing", "data may have no density without")
    return w2 * w2 / (2 * math.expm1(min(2 * delta, _LARGEST)))
