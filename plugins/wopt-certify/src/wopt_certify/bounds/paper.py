"""The seed paper's bounds, for comparison: Theorems S and P are sharper, and attained."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds._numbers import (
    Array,
    Numbers,
    Steps,
    each_step,
    require_positive,
    steps_of,
)
from wopt_certify.bounds.entropy import tv

__all__ = ["PaperStatement", "paper_distance", "paper_gap", "paper_statement"]

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
        lam: lambda.

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


@dataclasses.dataclass(frozen=True)
class PaperStatement:
    """The paper's closed statement, for constant h and eps.

    Attributes:
        steps: Least number of steps.
        w2: Upper bound of W_2(p_n, q) for n = steps - 1.
        kl: Upper bound of G(p_{n+1}) - G(q).
    """

    steps: int
    w2: float
    kl: float

    @property
    def tv(self) -> float:
        """The bound of the total variation that follows, by Pinsker's inequality."""
        return float(tv(self.kl))


def paper_statement(w0: float, step_size: float, error: float, lam: float) -> PaperStatement:
    """Return  W_2 <= 5^1/2 eps/lambda  and  KL <= (9/2h) (eps/lambda)^2,  and the steps they need.

    With n = ceil((8 / (h lambda)) log(W_2(p_0, q) lambda / eps)) the distance holds after n steps,
    the divergence after n + 1.

    Conditions: lambda > 0, h lambda <= 2, eps > 0.

    Args:
        w0: W_2(p_0, q), or a bound of it.
        step_size: h.
        error: eps.
        lam: lambda.

    Raises:
        UserError: A condition fails.

    Source: Cheng, Lu, Tan, Xie 2024, by docs/theory.md (1.7).

    Example:
        >>> statement = paper_statement(3.0, 1.0, 0.1, lam=1.0)
        >>> statement.steps, round(statement.w2, 4), round(statement.kl, 4), round(statement.tv, 4)
        (29, 0.2236, 0.045, 0.15)
    """
    require_positive("lambda", lam, "the paper's statement", _INSTEAD)
    require_positive("eps", error, "the paper's statement", "theorem_p covers exact steps")
    if not 0 < step_size * lam <= 2:
        raise UserError(
            f"the paper's statement needs 0 < h lambda <= 2, got {step_size * lam:.4g}; "
            "theorem_p allows any step"
        )
    ratio = error / lam
    n = max(0, math.ceil(8 / (step_size * lam) * math.log(w0 / ratio))) if w0 > 0 else 0
    return PaperStatement(
        steps=n + 1, w2=math.sqrt(5) * ratio, kl=9 / (2 * step_size) * ratio * ratio
    )
