"""Constraints: bijections from R^d to where a density lives, with their log-dets."""

from __future__ import annotations

import dataclasses
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
        maps: Of the coordinates that are constrained.

    Example:
        >>> x, log_det = support_of({"0": "positive"}, ("a", "b"))(torch.zeros(1, 2))
        >>> x.tolist(), log_det.tolist()
        ([[1.0, 0.0]], [0.0])
    """

    maps: Mapping[int, Transform]

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(x, log |det dx/dy|)`` for free points ``(n, d)``."""
        columns, total = list(y.unbind(1)), torch.zeros_like(y[:, 0])
        for j, bijection in self.maps.items():
            columns[j] = bijection(y[:, j])
            total = total + bijection.log_abs_det_jacobian(y[:, j], columns[j])
        return torch.stack(columns, 1), total

    def inverse(self, x: Tensor) -> Tensor:
        """Return the free points ``(n, d)`` of points of the support."""
        columns = list(x.unbind(1))
        for j, bijection in self.maps.items():
            columns[j] = bijection.inv(x[:, j])
        return torch.stack(columns, 1)


def support_of(wishes: Mapping[str | int, Any] | None, names: Sequence[str]) -> Support:
    """Return the bijection that wishes ask for.

    Args:
        wishes: From a coordinate, by index or name, to ``"positive"``, ``[low, high]`` (either may
            be ``None`` or infinite), or a constraint of :mod:`torch.distributions`.
        names: Of the coordinates.

    Raises:
        ConfigError: There is no such coordinate, or no such constraint.
    """
    maps: dict[int, Transform] = {}
    for key, wish in (wishes or {}).items():
        constraint = _constraint(key, wish)
        if constraint is not None:
            maps[_index(key, names)] = biject_to(constraint)
    return Support(maps)


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
