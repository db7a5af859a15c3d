"""Evaluation of a user's log-density, with advice about mistakes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from wopt.errors import DataError, WoptError

__all__ = ["one_value_a_point", "users_log_density", "validation"]

_LONGEST = 300
"""Largest number of characters shown of a foreign error message."""


@contextlib.contextmanager
def validation(*, on: bool) -> Iterator[None]:
    """Switch torch's checks of distributions' arguments on or off.

    Far out a model's parameters may overflow, which is not an error of its author. Without the
    checks the density is not finite there, instead of an exception.

    Example:
        >>> import torch
        >>> with validation(on=False):
        ...     torch.distributions.Normal(0.0, torch.tensor(-1.0)).log_prob(torch.ones(()))
        tensor(nan)
    """
    before: bool = Distribution._validate_args
    Distribution.set_default_validate_args(on)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def users_log_density(function: Callable[[Tensor], Any], x: Tensor, what: str) -> Tensor:
    """Return a user's unnormalised log-density at points, shape ``(n,)``, nats.

    Args:
        function: Maps points ``(n, d)`` to log p up to a constant, ``(n,)``.
        x: The points, shape ``(n, d)``.
        what: Name of the function, for messages.

    Raises:
        DataError: The function fails, or does not return one number a point.

    Example:
        >>> import torch
        >>> normal = lambda x: -x.square().sum(1) / 2
        >>> users_log_density(normal, torch.ones(1, 2), "log_prob").tolist()
        [-1.0]
    """
    try:
        value = function(x)
    except WoptError:
        raise
    except Exception as error:  # whatever the author's code does
        text = " ".join(str(error).split())
        raise DataError(
            f"{what} failed for points of shape {tuple(x.shape)} and type {x.dtype}: "
            f"{type(error).__name__}: {text[:_LONGEST]}{' ...' if len(text) > _LONGEST else ''}. "
            f"It must take any number of points at once, shape (n, {x.shape[1]}), in float32 and "
            "in float64 (convert constants with `.to(x)`), and return a tensor of shape (n,)"
        ) from error
    return one_value_a_point(value, x, what)


def one_value_a_point(value: Any, x: Tensor, what: str) -> Tensor:
    """Return the value, checked to be one number for each point, shape ``(n,)``.

    Args:
        value: Result of the function.
        x: Its argument, shape ``(n, d)``.
        what: Name of the function, for messages.

    Raises:
        DataError: The value is not a tensor, or has another shape.
    """
    if not isinstance(value, Tensor):
        raise DataError(f"{what} returned {type(value).__name__}, not a tensor; write it in torch")
    if value.shape != x.shape[:1]:
        raise DataError(
            f"{what} returned shape {tuple(value.shape)} for points of shape {tuple(x.shape)}; it "
            f"must return one value a point, shape ({len(x)},): sum over the coordinates "
            "(`.sum(1)`), drop a last axis (`.squeeze(-1)`), or use torch.vmap on a function of "
            "one point"
        )
    return value
