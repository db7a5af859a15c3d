"""Constraints: bijections from R^d to the support of a density, with their log-dets."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Transform, biject_to, constraints

from wopt.errors import ConfigError

__all__ = ["Support", "support_of"]


@dataclasses.dataclass(frozen=True)
class Support:
    """A bijection R^d -> support, one coordinate at a time.

    Attributes:
        within: The constraints of the coordinates that have one, by index.

    Example:
        >>> x, log_det = support_of({"0": "positive"}, ("a", "b"))(torch.zeros(1, 2))
        >>> x.tolist(), log_det.tolist()
        ([[1.0, 0.0]], [0.0])
    """

    within: Mapping[int, constraints.Constraint]

    @functools.cached_property
    def maps(self) -> Mapping[int, Transform]:
        """Bijections of the constrained coordinates, by index."""
        return {j: biject_to(constraint) for j, constraint in self.within.items()}

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return x, shape ``(n, d)``, and log |det dx/dy|, ``(n,)``, for free points ``(n, d)``."""
        columns, total = list(y.unbind(1)), torch.zeros_like(y[:, 0])
        for j, bijection in self.maps.items():
            columns[j] = bijection(y[:, j])
            total = total + bijection.log_abs_det_jacobian(y[:, j], columns[j])
        return torch.stack(columns, 1), total

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y, shape ``(n, d)``, and log |det dy/dx|, ``(n,)``, for points ``(n, d)``.

        A point outside, or on an end, is mapped to the origin with log-det minus infinity, so that
        densities are zero there.
        """
        inside, middle = self._contains(x)[:, None], self(torch.zeros_like(x))[0]
        columns = list(x.where(inside, middle).unbind(1))
        for j, bijection in self.maps.items():
            columns[j] = bijection.inv(columns[j])
        y = torch.stack(columns, 1)
        return y, (-self(y)[1]).where(inside[:, 0], -math.inf)

    def _contains(self, x: Tensor) -> Tensor:
        inside = torch.ones_like(x[:, 0], dtype=torch.bool)
        for j, constraint in self.within.items():
            low, high = _ends(constraint)
            inside = inside & (x[:, j] > low) & (x[:, j] < high)
        return inside

    def intervals(self) -> dict[str, list[float | None]]:
        """Return the ends by index, ``None`` for no end, as input of :func:`support_of`.

        Example:
            >>> support_of({"a": "positive"}, ("a",)).intervals()
            {'0': [0.0, None]}
        """
        return {
            str(j): [float(end) if math.isfinite(end) else None for end in _ends(constraint)]
            for j, constraint in self.within.items()
        }


def _ends(constraint: constraints.Constraint) -> tuple[float, float]:
    low = getattr(constraint, "lower_bound", -math.inf)
    return low, getattr(constraint, "upper_bound", math.inf)


def support_of(wishes: Mapping[str | int, Any] | None, names: Sequence[str]) -> Support:
    """Return the bijection to a support.

    Args:
        wishes: The support of a coordinate, by index or name: ``"positive"``, ``[low, high]``
            (either may be ``None`` or infinite), or a constraint of :mod:`torch.distributions`.
        names: Names of the coordinates.

    Raises:
        ConfigError: A coordinate or a constraint is unknown.
    """
    within: dict[int, constraints.Constraint] = {}
    for key, wish in (wishes or {}).items():
        constraint = _constraint(key, wish)
        if constraint is not None:
            within[_index(key, names)] = constraint
    return Support(within)


def _index(key: str | int, names: Sequence[str]) -> int:
    if str(key) in names:
        return list(names).index(str(key))
    try:
        index = int(key)
    except ValueError:
        index = -1
    if 0 <= index < len(names):
        return index
    raise ConfigError(
        f"support: no coordinate {key!r}; give its index, 0 to {len(names) - 1}, or one of the "
        f"names {', '.join(names[:10])}"
    )


def _constraint(key: str | int, wish: Any) -> constraints.Constraint | None:
    if isinstance(wish, constraints.Constraint):
        if wish.event_dim or wish.is_discrete:
            raise ConfigError(
                f"support of {key!r}: {wish} is not about one continuous coordinate; map it to "
                "free coordinates inside of log_prob, with the log-det of that map"
            )
        return wish
    if wish in (None, "real"):
        return None
    if wish == "positive":
        return constraints.positive
    if isinstance(wish, Sequence) and not isinstance(wish, str) and len(wish) == 2:
        return _interval(key, *wish)
    raise ConfigError(
        f'support of {key!r}: {wish!r} is none of "positive", "real", [low, high] (None for no '
        "end), or a constraint of torch.distributions.constraints"
    )


def _interval(
    key: str | int, low: float | None, high: float | None
) -> constraints.Constraint | None:
    below = -math.inf if low is None else float(low)
    above = math.inf if high is None else float(high)
    if not below < above:
        raise ConfigError(f"support of {key!r}: [{low}, {high}] is empty; give [low, high]")
    if math.isinf(below) and math.isinf(above):
        return None
    if math.isinf(above):
        return constraints.greater_than(below)
    return constraints.less_than(above) if math.isinf(below) else constraints.interval(below, above)
