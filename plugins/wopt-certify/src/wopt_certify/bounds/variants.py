"""Variants of the theorems: lambda = 0, the last step alone, forward-backward, other maps."""

from __future__ import annotations

import dataclasses
from typing import Generic

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds.inequalities import Array, Numbers, Real, Steps, require_positive, steps_of

__all__ = ["Bound", "a_posteriori", "convex_last", "forward_backward", "optimal_residual"]


def convex_last(w0: Numbers, step_sizes: Steps, errors: Steps | float) -> Array:
    """Return bounds of the gap after each step,  G(p_n) - G(q).

        e_n <= ((W_0 + S_n)^2 + sum_k t_k h_k eps_k^2) / (2 t_n);  W_0^2 / (2 t_n) for exact steps.

    A step raises the gap by h eps^2/2 at most (its value is that close to the subproblem's least,
    which is below the gap before), so the last is near the mean:
    t_n e_n <= sum_k h_k e_k + sum_k t_{k-1} h_k eps_k^2/2.

    Conditions: G convex along generalized geodesics (lambda >= 0).

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.

    Returns:
        Bounds for n = 1, ..., shape ``(steps, ...)``.

    Raises:
        UserError: A step size is not positive, an error is negative, or their numbers differ.

    Source: docs/theory.md 1.7 for the mean; the last iterate as above.

    Example:
        >>> convex_last(2.0, [1.0, 1.0], 0.0).tolist()
        [2.0, 1.0]
        >>> convex_last(2.0, [1.0, 1.0], [0.0, 0.1]).round(4).tolist()
        [2.0, 1.1075]
    """
    h, eps = steps_of(step_sizes, errors)
    time = np.cumsum(h, axis=0)
    moved = np.cumsum(h * eps, axis=0)
    return np.asarray(((w0 + moved) ** 2 + np.cumsum(time * h * eps**2, axis=0)) / (2 * time))


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

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md (1.11).

    Example:
        >>> a_posteriori(0.5, 0.5, 0.1, lam=1.0)
        Bound(w2=1.1, kl=0.6050000000000001)
    """
    require_positive("lambda", lam, "the a-posteriori bound", "no distance is certified without")
    gradient = moved / step_size + error
    return Bound(w2=gradient / lam, kl=gradient * gradient / (2 * lam))


def forward_backward(
    w0: Numbers,
    step_sizes: Steps,
    errors: Steps | float,
    lam: Numbers,
    smoothness: Numbers,
) -> Bound[Array]:
    """Return bounds of distance and gap after each step on  G = E f + H.

    The step moves by x - h grad f(x) and takes a proximal step of H from there, with residual of
    norm eps. With a >= W_2(p_n, q) the distance seen from the base of that step:

        a^2 - 2 h eps a + 2 h e_n <= (1 - h lambda) W_{n-1}^2,    e_n >= lambda a^2 / 2,

    so, with c = 1 + h lambda and R = (1 - h lambda) W_{n-1}^2,

        W_n <= (h eps + (h^2 eps^2 + c R)^1/2) / c,    e_n <= (R + h^2 eps^2) / 2h.

    Conditions: f lambda-convex, lambda >= 0, with L-Lipschitz gradient; h <= 1/L; H convex along
    generalized geodesics.

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.

    Returns:
        Bounds of W_2(p_n, q) and G(p_n) - G(q), n = 1, ..., shapes ``(steps, ...)``.

    Raises:
        UserError: A condition fails.

    Source: Salim, Korba, Luise 2020 for exact steps; docs/theory.md 1.10 and 3.3, with the growth
        of the gap added.

    Example:
        >>> bounds = forward_backward(2.0, [0.5, 0.5], 0.0, lam=1.0, smoothness=1.0)
        >>> bounds.w2.round(4).tolist(), bounds.kl.round(4).tolist()
        ([1.1547, 0.6667], [2.0, 0.6667])
    """
    h, eps = steps_of(step_sizes, errors)
    if not np.all(np.asarray(lam) >= 0):
        raise UserError(
            f"forward-backward steps are certified for convex parts, got lambda = {lam}; what "
            "holds then is the a-posteriori bound"
        )
    if not np.all(h * smoothness <= 1 + 1e-12):
        raise UserError(
            f"forward-backward steps are certified for h <= 1/L = {1 / float(np.max(smoothness))}, "
            f"got h = {float(np.max(h))}; choose smaller steps"
        )
    w2, gap, w = [], [], w0
    for h_n, eps_n in zip(h, eps, strict=True):
        right = (1 - h_n * lam) * np.square(w)
        c = 1 + h_n * lam
        error = h_n * eps_n
        gap.append((right + error**2) / (2 * h_n))
        w = (error + np.sqrt(error**2 + c * right)) / c
        w2.append(w)
    return Bound(w2=np.array(w2, dtype=float), kl=np.array(gap, dtype=float))


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

    Source: docs/theory.md (4.2).

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
