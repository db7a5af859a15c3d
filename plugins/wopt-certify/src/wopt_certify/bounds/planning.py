"""Requirements of a target divergence: the residual of each step, and the number of steps."""

from __future__ import annotations

import dataclasses
import math

from wopt_certify.bounds._numbers import require_positive

__all__ = ["StepsNeeded", "error_needed", "steps_needed"]


def error_needed(kl: float, lam: float) -> float:
    """Return (2 lambda kl)^1/2: residuals of every step below it certify a divergence in the end.

    Args:
        kl: The target divergence, nats.
        lam: lambda.

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
        kl: The target divergence.
        step_size: h.
        error: eps.
        lam: lambda.
        kl0: KL(p_0|q), or a bound of it.
        of: The bounded quantity, in words.

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
