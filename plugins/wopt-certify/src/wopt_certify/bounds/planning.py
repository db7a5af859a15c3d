"""Requirements of a target divergence: the residual of each step, and the number of steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from wopt.errors import UserError
from wopt_certify.bounds._numbers import require_positive
from wopt_certify.bounds.steps import theorem_s_gap

__all__ = ["StepsNeeded", "error_needed", "steps_needed"]


def error_needed(
    kl: float,
    lam: float,
    *,
    step_sizes: Sequence[float] | None = None,
    w0: float | None = None,
    kl0: float | None = None,
) -> float | None:
    """Return the largest residual eps of every step with which a divergence is certified.

    Without ``step_sizes``, for any number of steps:  eps < (2 lambda kl)^1/2 = y*.  With them, from
    y_0 = (2 lambda kl0)^1/2 and c = prod_n 1/(1 + h_n lambda), Theorem P reaches y* for

        eps <= (y* - c y_0) / (1 - c),    eps <= y*,

    and from W_2(p_0, q) likewise, with y_1 = (W_0 + h_1 eps) (lambda / (h_1 (2 + h_1 lambda)))^1/2
    by Theorem S'.

    Args:
        kl: The target divergence.
        lam: lambda.
        step_sizes: h_n, where the steps are fixed.
        w0: W_2(p_0, q), or a bound of it.
        kl0: KL(p_0|q), or a bound of it; the larger answer is returned.

    Returns:
        eps, or ``None`` if even exact steps do not certify it.

    Raises:
        UserError: lambda is not positive, or the steps are given without a start.

    Source: docs/theory.md 6 and (1.9).

    Example:
        >>> error_needed(0.005, lam=1.0)
        0.1
        >>> round(error_needed(0.02, lam=1.0, step_sizes=[1.0] * 5, kl0=2.0), 4)  # (.2 - 2/32)/(1 - 1/32)
        0.1419
        >>> error_needed(0.005, lam=1.0, step_sizes=[1.0], kl0=2.0) is None
        True
    """  # noqa: E501
    require_positive("lambda", lam, "a plan", "no number of steps is certified without")
    wish = math.sqrt(2 * lam * kl)
    if step_sizes is None:
        return wish
    _require_start(w0, kl0)
    first, *later = step_sizes
    rest = math.exp(-sum(math.log1p(h * lam) for h in later))
    errors = []
    if kl0 is not None:
        c = rest / (1 + first * lam)
        errors.append((wish - c * math.sqrt(2 * lam * kl0)) / (1 - c))
    if w0 is not None:
        slope = rest * math.sqrt(lam / (first * (2 + first * lam)))
        errors.append((wish - slope * w0) / (1 - rest + slope * first))
    best = min(max(errors), wish)
    return best if best >= 0 else None


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
    w0: float | None = None,
    kl0: float | None = None,
    of: str = "KL",
) -> StepsNeeded:
    """Return the number of steps of constant h and eps that certify the target divergence.

    From a divergence e with y = (2 lambda e)^1/2 Theorem P reaches y* = (2 lambda kl)^1/2 after
    ceil(log((y - eps)/(y* - eps)) / log(1 + h lambda)) steps. From W_2(p_0, q) a first step by
    Theorem S' gives e.

    Args:
        kl: The target divergence.
        step_size: h.
        error: eps.
        lam: lambda.
        w0: W_2(p_0, q), or a bound of it.
        kl0: KL(p_0|q), or a bound of it, where it is known; the smaller number is returned.
        of: The bounded quantity, in words.

    Raises:
        UserError: lambda is not positive, or neither ``w0`` nor ``kl0`` is given.

    Source: docs/theory.md 1.6, "Number of steps".

    Example:
        >>> print(steps_needed(0.01, 1.0, 0.1, lam=1.0, w0=3.0))
        7 steps certify KL <= 0.01
        >>> steps_needed(0.005, 1.0, 0.1, lam=1.0, w0=3.0).steps is None
        True
    """
    require_positive("lambda", lam, "a plan", "no number of steps is certified without")
    _require_start(w0, kl0)
    wish = math.sqrt(2 * lam * kl)
    known = [] if kl0 is None else [(0, kl0)]
    if w0 is not None:
        known.append((1, float(theorem_s_gap(w0, [step_size], [error], lam)[0])))
    counts = []
    for count, gap in known:
        y = math.sqrt(2 * lam * gap)
        if y <= wish:
            counts.append(count)
        elif wish > error:
            ratio = math.log((y - error) / (wish - error)) / math.log1p(step_size * lam)
            counts.append(count + math.ceil(ratio))
    return StepsNeeded(min(counts, default=None), kl, error**2 / (2 * lam), of)


def _require_start(w0: float | None, kl0: float | None) -> None:
    if w0 is None and kl0 is None:
        raise UserError("a plan starts from a bound of the start: give w0 or kl0")
