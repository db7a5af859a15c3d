"""Forward-backward steps: an explicit step of the smooth part, a proximal step of the rest."""

from __future__ import annotations

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds._numbers import Array, Numbers, Steps, steps_of
from wopt_certify.bounds.posterior import Bound

__all__ = ["forward_backward"]


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
        lam: lambda, the convexity of f.
        smoothness: L.

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
