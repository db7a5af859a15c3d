"""Bounds along inexact proximal steps, and what a target requires.

What is a function of a whole run takes a start (W_2(p_0, q), the gap, or a bound of either), the
step sizes h_n, shape ``(steps, ...)``, and the errors eps_n, of that shape or one number. It
returns the bounds after step n = 1, ..., shape ``(steps, ...)``, and raises UserError if a step
size is not positive, an error is negative, their numbers differ or a condition fails.

Conditions, unless others are named: G is lambda-convex along generalized geodesics, lambda > -1/h_n
(it may be negative), and each p_n is a proximal step from p_{n-1} with residual of norm eps_n.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds.inequalities import (
    Array,
    Bound,
    Numbers,
    Steps,
    require_positive,
    steps_of,
)


def theorem_s(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  W_2(p_n, q) <= (W_2(p_{n-1}, q) + h_n eps_n) / (1 + h_n lambda)  after each step.

    Shifted Gaussians attain it. Arguments: a start W_2(p_0, q), and the steps ``(steps, ...)``.

    Source: docs/theory (1.8).

    Example:
        >>> theorem_s(2.0, [1.0, 1.0], [0.0, 0.4], lam=1.0).tolist()
        [1.0, 0.7]
    """
    h, eps = _convex(step_sizes, errors, lam)
    return _each(lambda w, h, eps: (w + h * eps) / (1 + h * lam), w0, h, eps)


def theorem_s_gap(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  G(p_n) - G(q) <= (W_2(p_{n-1}, q) + h eps)^2 / (2h (2 + h lambda))  after each step.

    W_2(p_{n-1}, q) is bounded by :func:`theorem_s`. One step makes the gap finite whatever the
    start, even for Diracs. The first step of G = E c|x| + lambda |x|^2/2 from a Dirac at x attains
    it, with c = |x| / (h (2 + h lambda)).

    Source: docs/theory 1.6, Theorem S'.

    Example:
        >>> theorem_s_gap(2.0, [1.0], [0.0], lam=0.0).tolist()  # W_0^2 / (4 h)
        [1.0]
    """
    h, eps = _convex(step_sizes, errors, lam)
    before = _before(w0, theorem_s(w0, h, eps, lam))
    return np.asarray((before + h * eps) ** 2 / (2 * h * (2 + h * lam)))


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
    max{eps, .} in place of the second would be slightly weaker. Shifted Gaussians attain it.

    Where G satisfies a Polyak-Lojasiewicz inequality |grad G|^2 >= 2 pl (G - min G) that is better
    than its convexity, lambda may be negative (lambda > -1/h) and the inequality is

        e_n + (h/2) (((2 pl e_n)^1/2 - eps)_+)^2
            <= e_{n-1} / (1 + h pl) + h eps^2 / (2 (1 + h lambda)).

    Args:
        gap0: e_0, or a bound of it.
        pl: The Polyak-Lojasiewicz (for KL: log-Sobolev) constant, positive; lambda by default.

    Source: docs/theory (1.9); with exact steps Zhu and Chen's (1 + h pl)^-2n.

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
    h, eps = _convex(step_sizes, errors, lam)

    def step(gap: Numbers, h: Numbers, eps: Numbers) -> Numbers:
        right = gap / (1 + h * mu) + h * eps**2 / (2 * (1 + h * lam))
        inside = np.maximum(h**2 * eps**2 - (1 / mu + h) * (h * eps**2 - 2 * right), 0.0)
        root = mu * (h * eps + np.sqrt(inside)) / (1 + h * mu)
        return np.where(2 * mu * right <= eps**2, right, root**2 / (2 * mu))

    return _each(step, gap0, h, eps)


def a_priori(
    w0: Numbers,
    step_sizes: Steps,
    errors: Steps | float,
    lam: Numbers,
    pl: Numbers | None = None,
) -> Array:
    """Return bounds of the gap from W_2(p_0, q) alone: no entropy of the data is needed.

    Theorem S' bounds the first step, which makes the gap finite, and Theorem P the others.

    Source: docs/theory 1.6, "A-priori certificate".

    Example:
        >>> a_priori(3.0, [1.0, 1.0], 0.0, lam=1.0).round(9).tolist()  # W_0^2 / 6, then / 4
        [1.5, 0.375]
    """
    h, eps = _convex(step_sizes, errors, lam)
    first = theorem_s_gap(w0, h[:1], eps[:1], lam)
    later = theorem_p(first[0] if len(first) else 0.0, h[1:], eps[1:], lam, pl)
    return first if len(h) < 2 else np.concatenate([first, later])


def paper_distance(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return bounds of W_2(p_n, q) by  (1 + h lambda/2) W_n^2 <= W_{n-1}^2 + 2 h eps^2 / lambda.

    With constant h and eps this is below the paper's closed form
    W_n^2 <= (1 + h lambda/2)^-n W_0^2 + 4 eps^2 / lambda^2. Theorems S and P are sharper.

    Conditions: also lambda > 0.

    Source: Cheng, Lu, Tan, Xie 2024 (arXiv 2310.17582), by docs/theory (1.5).

    Example:
        >>> paper_distance(3.0, [2.0, 2.0], 0.0, lam=1.0).round(4).tolist()
        [2.1213, 1.5]
    """
    instead = "use theorem_s or convex_last, which allow lambda = 0"
    require_positive("lambda", lam, "the paper's bound", instead)
    h, eps = steps_of(step_sizes, errors)
    squares = _each(
        lambda square, h, eps: (square + 2 * h * eps**2 / lam) / (1 + h * lam / 2),
        np.square(w0), h, eps,
    )  # fmt: skip
    return np.sqrt(squares)


def paper_gap(w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers) -> Array:
    """Return  G(p_n) - G(q) <= (W_{n-1}^2 + 2 h eps^2 / lambda) / (2 h)  after each step.

    W_{n-1} is bounded by :func:`paper_distance`, whose conditions apply.

    Source: Cheng, Lu, Tan, Xie 2024, by docs/theory (1.6).

    Example:
        >>> paper_gap(3.0, [2.0, 2.0], 0.0, lam=1.0).round(4).tolist()
        [2.25, 1.125]
    """
    h, eps = steps_of(step_sizes, errors)
    before = _before(w0, paper_distance(w0, h, eps, lam))
    return np.asarray((before**2 + 2 * h * eps**2 / lam) / (2 * h))


def convex_last(w0: Numbers, step_sizes: Steps, errors: Steps | float) -> Array:
    """Return bounds of the gap after each step,  G(p_n) - G(q),  for lambda >= 0.

        e_n <= ((W_0 + S_n)^2 + sum_k t_k h_k eps_k^2) / (2 t_n);  W_0^2 / (2 t_n) for exact steps.

    A step raises the gap by h eps^2/2 at most (its value is that close to the subproblem's least,
    which is below the gap before), so the last is near the mean:
    t_n e_n <= sum_k h_k e_k + sum_k t_{k-1} h_k eps_k^2/2.

    Source: docs/theory 1.7 for the mean; the last iterate as above.

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


def forward_backward(
    w0: Numbers, step_sizes: Steps, errors: Steps | float, lam: Numbers, smoothness: Numbers
) -> Bound[Array]:
    """Return bounds of distance and gap after each step on  G = E f + H.

    The step moves by x - h grad f(x) and takes a proximal step of H from there, with residual of
    norm eps. With a >= W_2(p_n, q) the distance seen from the base of that step:

        a^2 - 2 h eps a + 2 h e_n <= (1 - h lambda) W_{n-1}^2,    e_n >= lambda a^2 / 2,

    so, with c = 1 + h lambda and R = (1 - h lambda) W_{n-1}^2,

        W_n <= (h eps + (h^2 eps^2 + c R)^1/2) / c,    e_n <= (R + h^2 eps^2) / 2h.

    Conditions: f lambda-convex, lambda >= 0, with L-Lipschitz gradient; h <= 1/L; H convex along
    generalized geodesics.

    Source: Salim, Korba, Luise 2020 for exact steps; docs/theory 1.10 and 3.3, with the growth
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

    def step(w: Numbers, h: Numbers, eps: Numbers) -> Numbers:
        c, error = 1 + h * lam, h * eps
        return (error + np.sqrt(error**2 + c * ((1 - h * lam) * np.square(w)))) / c

    w2 = _each(step, w0, h, eps)
    right = (1 - h * lam) * np.square(_before(w0, w2))
    return Bound(w2=w2, kl=np.asarray((right + (h * eps) ** 2) / (2 * h)))


def _each(
    step: Callable[[Numbers, Numbers, Numbers], Numbers], value: Numbers, h: Array, eps: Array
) -> Array:
    """Return the values after each step of  x -> step(x, h, eps),  without the initial value."""
    values = [value := step(value, *pair) for pair in zip(h, eps, strict=True)]
    return np.array(values, dtype=float)


def _before(start: Numbers, after: Array) -> Array:
    first = np.broadcast_to(np.asarray(start, float), after.shape[1:])
    return np.concatenate([first[None], after])[:-1]


def _convex(step_sizes: Steps, errors: Steps | float, lam: Numbers) -> tuple[Array, Array]:
    """Return step sizes and errors, if the subproblems are convex."""
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

    Source: docs/theory 6 and (1.9).

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
    kl: float, step_size: float, error: float, lam: float, *, kl0: float, of: str = "KL"
) -> StepsNeeded:
    """Return the number of steps of constant h and eps that certify the target divergence.

    From a divergence e with y = (2 lambda e)^1/2 Theorem P reaches y* = (2 lambda kl)^1/2 after
    ceil(log((y - eps)/(y* - eps)) / log(1 + h lambda)) steps.

    Args:
        kl0: KL(p_0|q), or a bound of it.

    Source: docs/theory 1.6, "Number of steps".

    Example:
        >>> print(steps_needed(0.01, 1.0, 0.1, lam=1.0, kl0=3.0))
        6 steps certify KL <= 0.01
        >>> steps_needed(0.005, 1.0, 0.1, lam=1.0, kl0=3.0).steps is None
        True
    """
    target_kl, y = error_needed(kl, lam), math.sqrt(2 * lam * kl0)
    steps = None
    if y <= target_kl:
        steps = 0
    elif target_kl > error:
        steps = math.ceil(math.log((y - error) / (target_kl - error)) / math.log1p(step_size * lam))
    return StepsNeeded(steps, kl, error**2 / (2 * lam), of)
