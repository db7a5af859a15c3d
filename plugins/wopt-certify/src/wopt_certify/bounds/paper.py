"""The seed paper's bounds, for comparison: Theorems S and P are sharper, and attained."""

from __future__ import annotations

import numpy as np

from wopt_certify.bounds.inequalities import (
    Array,
    Numbers,
    Steps,
    each_step,
    require_positive,
    steps_of,
)

__all__ = ["paper_distance", "paper_gap"]

_INSTEAD = "use theorem_s or convex_last, which allow lambda = 0"


def paper_distance(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return bounds of W_2(p_n, q) by  (1 + h lambda/2) W_n^2 <= W_{n-1}^2 + 2 h eps^2 / lambda.

    With constant h and eps this is below the paper's closed form
    W_n^2 <= (1 + h lambda/2)^-n W_0^2 + 4 eps^2 / lambda^2.

    Conditions: G lambda-convex along generalized geodesics, lambda > 0.

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.

    Returns:
        Bounds of W_2(p_n, q), n = 1, ..., shape ``(steps, ...)``.

    Raises:
        UserError: lambda is not positive, a step size is not positive, or an error is negative.

    Source: Cheng, Lu, Tan, Xie 2024 (arXiv 2310.17582), by docs/theory.md (1.5).

    Example:
        >>> paper_distance(3.0, [2.0, 2.0], 0.0, lam=1.0).round(4).tolist()
        [2.1213, 1.5]
    """
    require_positive("lambda", lam, "the paper's bound", _INSTEAD)
    h, eps = steps_of(step_sizes, errors)
    squares = each_step(
        lambda square, h, eps: (square + 2 * h * eps**2 / lam) / (1 + h * lam / 2),
        np.square(w0),
        zip(h, eps, strict=True),
    )
    return np.sqrt(squares)


def paper_gap(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  G(p_n) - G(q) <= (W_{n-1}^2 + 2 h eps^2 / lambda) / (2 h)  after each step.

    W_{n-1} is bounded by :func:`paper_distance`, whose conditions, arguments and errors apply.

    Source: Cheng, Lu, Tan, Xie 2024, by docs/theory.md (1.6).

    Example:
        >>> paper_gap(3.0, [2.0, 2.0], 0.0, lam=1.0).round(4).tolist()
        [2.25, 1.125]
    """
    h, eps = steps_of(step_sizes, errors)
    after = paper_distance(w0, h, eps, lam)
    before = np.concatenate([np.broadcast_to(np.asarray(w0, float), after.shape[1:])[None], after])
    return np.asarray((before[:-1] ** 2 + 2 * h * eps**2 / lam) / (2 * h))
