"""Shared tools of the bounds: batches of numbers, steps along the first axis, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wopt.errors import UserError

__all__ = ["Array", "Numbers", "Real", "Steps", "each_step", "require_positive", "steps_of"]

Array = NDArray[np.float64]
Numbers = float | Array
"""A number, or a batch of them."""
Steps = Sequence[float] | Array
"""One number per step; in an array the first axis is the step and the others are a batch."""
Real = TypeVar("Real", float, NDArray[np.float64])


def steps_of(step_sizes: ArrayLike, errors: ArrayLike) -> tuple[Array, Array]:
    """Return step sizes and errors with one common first axis; unknown errors are NaN.

    Raises:
        UserError: A step size is not positive, an error is negative, or their numbers differ.
    """
    h, eps = np.asarray(step_sizes, dtype=float), np.asarray(errors, dtype=float)
    if h.ndim == 0 or (eps.ndim > 0 and len(eps) != len(h)):
        raise UserError(
            "a bound along a run takes a step size and an error for each step, got shapes "
            f"{h.shape} and {eps.shape}; repeat a constant, as in numpy.full(steps, h)"
        )
    if not np.all(h > 0):
        raise UserError("step sizes must be positive")
    if np.any(eps < 0):
        raise UserError("errors are norms, so they cannot be negative")
    return h, (np.broadcast_to(eps, h.shape) if eps.ndim == 0 else eps)


def each_step(
    step: Callable[[Numbers, Numbers, Numbers], Numbers],
    initial: Numbers,
    steps: Iterable[tuple[Numbers, Numbers]],
) -> Array:
    """Return the values after each step of  x -> step(x, h, eps),  without the initial value."""
    values, value = [], initial
    for h, eps in steps:
        value = step(value, h, eps)
        values.append(value)
    return np.array(values, dtype=float)


def require_positive(what: str, value: Numbers, who: str, instead: str) -> None:
    """Raise unless ``value`` is positive.

    Raises:
        UserError: The value is not positive; the message names ``who`` needs it and the
            alternative.
    """
    if not np.all(np.asarray(value) > 0):
        raise UserError(f"{who} needs {what} > 0, got {value}; {instead}")
