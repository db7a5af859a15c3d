"""Bounds that need no strong convexity: lambda = 0."""

from __future__ import annotations

import numpy as np

from wopt_certify.bounds._numbers import Array, Numbers, Steps, steps_of

__all__ = ["convex_last"]


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
