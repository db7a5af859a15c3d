"""The time of an evolution: t_n = h_1 + ... + h_n, and steps that end where they are asked to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wopt.errors import ConfigError
from wopt.interfaces.scheme import ProximalScheme
from wopt.train.record import StepRecord

__all__ = ["check_times", "elapsed", "is_at", "landed"]

_ROUNDING = 1e-6
"""Fraction of a step by which it is lengthened to reach an end, rather than leave a tiny step."""


def elapsed(records: Sequence[StepRecord], *more: float) -> float:
    """Return the sum of the step sizes, rounded once.

    Args:
        records: Records of the steps made.
        more: Step sizes to come.
    """
    return math.fsum([*(record.step_size for record in records), *more])


def is_at(time: float, end: float) -> bool:
    """Whether a time is an end, up to rounding.

    Example:
        >>> is_at(0.1 + 0.2, 0.3), is_at(0.3, 0.4)
        (True, False)
    """
    return math.isclose(time, end, rel_tol=1e-9, abs_tol=1e-12)


def landed(h: float, time: float, ends: Sequence[float]) -> float:
    """Return h, shortened where the step would pass the next of the ends.

    Args:
        h: Step size that the rule wants.
        time: Time before the step.
        ends: Times at which a step is to end.

    Example:
        >>> landed(0.4, 0.8, [0.5, 0.9]), landed(0.4, 0.8, [3.0])
        (0.09999999999999998, 0.4)
    """
    left = min((end - time for end in ends if end > time and not is_at(time, end)), default=None)
    return h if left is None or h * (1 + _ROUNDING) < left else left


def check_times(scheme: ProximalScheme, ends: Sequence[float]) -> None:
    """Raise for a time that a scheme of equal steps cannot end at.

    Raises:
        ConfigError: The time is not a multiple of h.
    """
    if not scheme.equal_steps:
        return
    h = scheme.step_size(0)
    for end in ends:
        if not is_at(round(end / h) * h, end):
            raise ConfigError(
                f"{type(scheme).__name__} needs equal steps, and the time {end:g} is not a "
                f"multiple of h = {h:g}, so a shortened step would have to end there; choose "
                f"scheme.step_size = {end / max(1, round(end / h)):.6g}, or another time"
            )
