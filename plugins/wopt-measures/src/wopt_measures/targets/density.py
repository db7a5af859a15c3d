"""A person's log-density: called, its values checked, and put in free coordinates."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from wopt.capabilities import Capability
from wopt.errors import DataError, WoptError
from wopt.interfaces import Law, Support

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
            + (_of_numpy(text) or _of_one_point(function, x) or _of_points(x))
        ) from error
    return one_value_a_point(value, x, what, function)


def _of_numpy(text: str) -> str:
    """Return advice for a function that torch refuses to numpy."""
    if "numpy()" not in text:
        return ""
    return (
        "It calls numpy, by which wopt has no gradient: write it in torch (`torch.` for `np.`, "
        "torch.distributions for scipy.stats)"
    )


def _of_one_point(function: Callable[..., Any], x: Tensor) -> str:
    """Return advice for a function that takes one point or its coordinates, tried at the first."""
    point = x.detach()[0]
    row = "It takes one point, and is given many, one a row: write "
    for arguments, advice in (
        ([point], "`x[:, 0]` for `x[0]` and `.sum(1)` for `.sum()`, or give torch.vmap(function)"),
        (point, "a function of points, `lambda x: function(*x.T)`"),
    ):
        with contextlib.suppress(Exception):
            if torch.as_tensor(function(*arguments)).dim() == 0:
                return row + advice
    return ""


def _of_points(x: Tensor) -> str:
    return (
        f"It must take any number of points at once, shape (n, {x.shape[1]}), in float32 and "
        "in float64 (convert constants with `.to(x)`), and return a tensor of shape (n,)"
    )


def one_value_a_point(
    value: Any, x: Tensor, what: str, function: Callable[[Tensor], Any]
) -> Tensor:
    """Return the value, checked to be one number for each point, shape ``(n,)``.

    Args:
        x: Its argument, shape ``(n, d)``.
        function: What returned it.

    Raises:
        DataError: The value is not a tensor, or has another shape.
    """
    if not isinstance(value, Tensor):
        raise DataError(f"{what} returned {type(value).__name__}, not a tensor; write it in torch")
    if value.shape != x.shape[:1]:
        raise DataError(
            f"{what} returned shape {tuple(value.shape)} for points of shape {tuple(x.shape)}. "
            + (
                _of_one_point(function, x)
                or f"It must return one value a point, shape ({len(x)},): sum over the "
                "coordinates (`.sum(1)`), or drop a last axis (`.squeeze(-1)`)"
            )
        )
    return value


_START = 64
"""Number of points at which a density is evaluated before any work."""

_CONSTRAINED = (
    'if a coordinate is constrained, say so: support = {"0": "positive", "1": [0, 1]} '
    '(in a file: support = { 0 = "positive", 1 = [0, 1] })'
)


@dataclasses.dataclass(eq=False)
class Density(Law):
    """A person's law in free coordinates:  log p(x(y)) + log |det dx/dy|.

    Attributes:
        function: Maps points of the support, ``(n, d)``, to log p up to a constant, ``(n,)``, nats.
        support: The bijection from free coordinates.
        names: Names of the coordinates, for messages.
    """

    function: Callable[[Tensor], Tensor]
    support: Support = dataclasses.field()
    names: tuple[str, ...] = dataclasses.field()
    provides = Capability.POTENTIAL | Capability.SCORE

    def __call__(self, y: Tensor) -> Tensor:
        """Return :meth:`log_prob`, shape ``(n, d)`` to ``(n,)``, nats."""
        return self.log_prob(y)

    def log_prob(self, x: Tensor, *, validate: bool = False) -> Tensor:
        """Return log p at free points, shape ``(n, d)`` to ``(n,)``, nats.

        Args:
            validate: Let distributions of torch reject parameters. Far out these may overflow,
                which is not an error of the author: the value is then not finite.

        Raises:
            DataError: The function fails, or does not return one real number a point.
        """
        own, log_det = self.support(x)
        with validation(on=validate):
            value = users_log_density(self.function, own, "log_prob")
        return value.to(x.dtype) + log_det

    def zero_at(self, rng: torch.Generator) -> str | None:
        """Return where the density is zero among points around the free coordinates' origin.

        ``None`` where it is not, as for most densities whose support is known.

        Raises:
            DataError: The density is NaN or infinite there, zero everywhere, or has no gradient.
        """
        y = torch.randn(_START, len(self.names), dtype=torch.float64, generator=rng)
        y.requires_grad_()
        value = self._tried(y)
        if not value.requires_grad:
            raise DataError(
                "log_prob has no gradient: compute it with torch from its argument (no numpy, no "
                "`.item()`, no `torch.no_grad()`)"
            )
        empty = value == -torch.inf
        bad = ~torch.isfinite(value) if empty.all() else ~torch.isfinite(value) & ~empty
        if bad.any():
            raise DataError(self._not_finite(y.detach(), value.detach(), bad))
        slope = torch.autograd.grad(value[~empty].sum(), y)[0]
        wrong = ~torch.isfinite(slope).all(1) & ~empty
        if wrong.any():
            where = self._at(y.detach(), wrong)
            raise DataError(
                f"the gradient of log_prob is not finite at {int(wrong.sum())} of {_START} points, "
                f"first at {where}, where log_prob itself is finite: look for sqrt or abs at 0, "
                "or torch.where with a branch that is NaN"
            )
        found = value.detach()
        return self._not_finite(y.detach(), found, empty) if empty.any() else None

    def _tried(self, y: Tensor) -> Tensor:
        """Return log p, with advice if a distribution of torch rejects an argument."""
        try:
            return self.log_prob(y, validate=True)
        except DataError as error:
            self(y)  # raises the same error, unless validation caused it
            text = str(error)
            raise DataError(
                f"log_prob is tried at {_START} points of its support, and a distribution of torch "
                f"refuses a value or parameter there: {_CONSTRAINED}. {text[text.find(':') + 2 :]}"
            ) from None

    def _not_finite(self, y: Tensor, value: Tensor, bad: Tensor) -> str:
        kinds = ", ".join(sorted({str(v) for v in value[bad].tolist()}))
        count = int(bad.sum())
        advice = "log of a negative number, or division by zero, is the usual cause"
        if bool((value[bad] == -torch.inf).all()):
            advice = "the density is zero there"
        return (
            f"log_prob is {kinds} at {count} of {_START} points of its support, first at "
            f"{self._at(y, bad)}: {advice}; {_CONSTRAINED}"
        )

    def _at(self, y: Tensor, where: Tensor) -> str:
        x = self.support(y[where][:1])[0][0]
        shown = [f"{n} = {v:.3g}" for n, v in zip(self.names, x.tolist(), strict=True)]
        return ", ".join(shown[:8]) + (", ..." if len(shown) > 8 else "")
