"""Theorems S and P: distance and gap along inexact proximal steps, and what a target requires."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds.inequalities import (
    Array,
    Numbers,
    Steps,
    each_step,
    require_positive,
    steps_of,
)

__all__ = [
    "StepsNeeded",
    "a_priori",
    "error_needed",
    "steps_needed",
    "theorem_p",
    "theorem_s",
    "theorem_s_gap",
]


def theorem_s(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  W_2(p_n, q) <= (W_2(p_{n-1}, q) + h_n eps_n) / (1 + h_n lambda)  after each step.

    Conditions: G lambda-convex along generalized geodesics, lambda > -1/h_n (it may be negative),
    and each p_n a proximal step from p_{n-1} with residual of norm eps_n. Shifted Gaussians
    attain it.

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.

    Returns:
        Bounds of W_2(p_n, q), n = 1, ..., shape ``(steps, ...)``.

    Raises:
        UserError: lambda <= -1/h_n, a step size is not positive, or an error is negative.

    Source: docs/theory.md (1.8).

    Example:
        >>> theorem_s(2.0, [1.0, 1.0], [0.0, 0.4], lam=1.0).tolist()
        [1.0, 0.7]
    """
    h, eps = _steps(step_sizes, errors, lam)
    return each_step(lambda w, h, eps: (w + h * eps) / (1 + h * lam), w0, zip(h, eps, strict=True))


def theorem_s_gap(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  G(p_n) - G(q) <= (W_2(p_{n-1}, q) + h eps)^2 / (2h (2 + h lambda))  after each step.

    W_2(p_{n-1}, q) is bounded by :func:`theorem_s`. One step makes the gap finite whatever the
    start, even for Diracs.

    Conditions, arguments and errors are those of :func:`theorem_s`. The first step of
    G = E c|x| + lambda |x|^2/2 from a Dirac at x attains it, with c = |x| / (h (2 + h lambda)).

    Source: docs/theory.md 1.6, Theorem S'.

    Example:
        >>> theorem_s_gap(2.0, [1.0], [0.0], lam=0.0).tolist()  # W_0^2 / (4 h)
        [1.0]
    """
    h, eps = _steps(step_sizes, errors, lam)
    after = theorem_s(w0, h, eps, lam)
    before = np.concatenate([np.broadcast_to(np.asarray(w0, float), after.shape[1:])[None], after])
    return np.asarray((before[:-1] + h * eps) ** 2 / (2 * h * (2 + h * lam)))


def theorem_p(
    gap0: Numbers,
    step_sizes: Steps,
    errors: Steps | float,
    lam: Numbers,
    pl: Numbers | None = None,
) -> Array:
    """Return bounds of the gap e_n = G(p_n) - G(q) (KL, for KL) after each step.

    With y_n = (2 lambda e_n)^1/2:

        y_n <= (y_{n-1} + h lambda eps) / (1 + h lambda)                 where y_{n-1} >= eps,
        y_n <= ((y_{n-1}^2 + h lambda eps^2) / (1 + h lambda))^1/2 <= eps   otherwise,

    so e_n contracts by (1 + h lambda)^-2 a step, down to the floor eps^2 / (2 lambda). Both lines
    are the root of  e_n + (h/2) ((y_n - eps)_+)^2 <= (e_{n-1} + h eps^2/2) / (1 + h lambda);
    max{eps, .} in place of the second would be slightly weaker.

    Where G satisfies a Polyak-Lojasiewicz inequality |grad G|^2 >= 2 pl (G - min G) that is better
    than its convexity, lambda may be negative (lambda > -1/h) and the inequality is

        e_n + (h/2) (((2 pl e_n)^1/2 - eps)_+)^2
            <= e_{n-1} / (1 + h pl) + h eps^2 / (2 (1 + h lambda)).

    Conditions: G lambda-convex along generalized geodesics, proximal steps from p_{n-1} with
    residuals of norm eps_n. Shifted Gaussians attain it.

    Args:
        gap0: e_0, or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.
        pl: The Polyak-Lojasiewicz (for KL: log-Sobolev) constant; lambda by default.

    Returns:
        Bounds of e_n, n = 1, ..., shape ``(steps, ...)``.

    Raises:
        UserError: pl or a step size is not positive, lambda <= -1/h_n, or an error is negative.

    Source: docs/theory.md (1.9); with exact steps Zhu and Chen's (1 + h pl)^-2n.

    Example:
        >>> theorem_p(2.0, [1.0, 1.0], [0.0, 0.0], lam=1.0).tolist()
        [0.5, 0.125]
        >>> round(float(theorem_p(2.0, [1.0] * 60, 0.1, lam=1.0)[-1]), 9)  # eps^2 / (2 lambda)
        0.005
    """
    mu = lam if pl is None else pl
    require_positive(
        "lambda, or a Polyak-Lojasiewicz constant,",
        mu,
        "Theorem P",
        "without it use convex_last (lambda = 0), or give the constant",
    )
    h, eps = _steps(step_sizes, errors, lam)

    def step(gap: Numbers, h: Numbers, eps: Numbers) -> Numbers:
        right = gap / (1 + h * mu) + h * eps**2 / (2 * (1 + h * lam))
        inside = np.maximum(h**2 * eps**2 - (1 / mu + h) * (h * eps**2 - 2 * right), 0.0)
        root = mu * (h * eps + np.sqrt(inside)) / (1 + h * mu)
        return np.where(2 * mu * right <= eps**2, right, root**2 / (2 * mu))

    return each_step(step, gap0, zip(h, eps, strict=True))


def a_priori(
    w0: Numbers,
    step_sizes: Steps,
    errors: Steps | float,
    lam: Numbers,
    pl: Numbers | None = None,
) -> Array:
    """Return bounds of the gap from W_2(p_0, q) alone: no entropy of the data is needed.

    Theorem S' bounds the first step, which makes the gap finite, and Theorem P the others.

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_sizes: h_n, shape ``(steps, ...)``.
        errors: eps_n, of that shape, or one number.
        pl: As in :func:`theorem_p`.

    Returns:
        Bounds of G(p_n) - G(q), n = 1, ..., shape ``(steps, ...)``.

    Raises:
        UserError: As for :func:`theorem_p`.

    Source: docs/theory.md 1.6, "A-priori certificate".

    Example:
        >>> a_priori(3.0, [1.0, 1.0], 0.0, lam=1.0).round(9).tolist()  # W_0^2 / 6, then / 4
        [1.5, 0.375]
    """
    h, eps = _steps(step_sizes, errors, lam)
    first = theorem_s_gap(w0, h[:1], eps[:1], lam)
    later = theorem_p(first[0] if len(first) else 0.0, h[1:], eps[1:], lam, pl)
    return first if len(h) < 2 else np.concatenate([first, later])


def _steps(step_sizes: Steps, errors: Steps | float, lam: Numbers) -> tuple[Array, Array]:
    h, eps = steps_of(step_sizes, errors)
    if not np.all(1 + h * lam > 0):
        raise UserError(
            f"the step's subproblem is convex only for h < {-1 / float(np.min(lam)):.4g} = "
            f"-1/lambda, got h = {float(np.max(h)):.4g}; choose smaller steps"
        )
    return h, eps


def error_needed(kl: float, lam: float) -> float:
    """Return (2 lambda kl)^1/2: residuals of every step below it certify a divergence in the end.

    Args:
        kl: The target divergence, nats.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md 6 and (1.9).

    Example:
        >>> error_needed(0.005, lam=1.0)
        0.1
    """
    require_positive("lambda", lam, "a plan", "no number of steps is certified without")
    return math.sqrt(2 * lam * kl)


@dataclasses.dataclass(frozen=True)
class StepsNeeded:
    """The number of steps that certify a target divergence.

    Attributes:
        steps: The number, or ``None`` if no number does.
        kl: The target divergence, nats.
        floor: eps^2 / (2 lambda), below which the residual lets no bound fall.
        of: The bounded quantity: KL, or the gap of another objective.
    """

    steps: int | None
    kl: float
    floor: float
    of: str = "KL"

    def __str__(self) -> str:
        if self.steps is not None:
            return f"{self.steps} steps certify {self.of} <= {self.kl:.4g}"
        return (
            f"{self.of} <= {self.kl:.4g} is not reachable: with residuals of that size no bound "
            f"falls below eps^2/(2 lambda) = {self.floor:.4g}; train each step further"
        )


def steps_needed(
    kl: float,
    step_size: float,
    error: float,
    lam: float,
    *,
    kl0: float,
    of: str = "KL",
) -> StepsNeeded:
    """Return the number of steps of constant h and eps that certify the target divergence.

    From a divergence e with y = (2 lambda e)^1/2 Theorem P reaches y* = (2 lambda kl)^1/2 after
    ceil(log((y - eps)/(y* - eps)) / log(1 + h lambda)) steps.

    Args:
        kl0: KL(p_0|q), or a bound of it.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md 1.6, "Number of steps".

    Example:
        >>> print(steps_needed(0.01, 1.0, 0.1, lam=1.0, kl0=3.0))
        6 steps certify KL <= 0.01
        >>> steps_needed(0.005, 1.0, 0.1, lam=1.0, kl0=3.0).steps is None
        True
    """
    require_positive("lambda", lam, "a plan", "no number of steps is certified without")
    target_kl, y = math.sqrt(2 * lam * kl), math.sqrt(2 * lam * kl0)
    steps = None
    if y <= target_kl:
        steps = 0
    elif target_kl > error:
        steps = math.ceil(math.log((y - error) / (target_kl - error)) / math.log1p(step_size * lam))
    return StepsNeeded(steps, kl, error**2 / (2 * lam), of)
