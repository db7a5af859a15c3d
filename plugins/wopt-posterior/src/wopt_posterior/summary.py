"""Draws as variables with shapes, their tails, and as ArviZ wants them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from wopt.errors import ConfigError
from wopt.psis import fit_pareto

_LEAST = 5
"""Draws of a tail to which a Pareto law is fitted, at least."""
_ELEMENT = re.compile(r"(.+)\[(\d+(?:,\s*\d+)*)\]")


def variables(draws: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return arrays ``(1, n, ...)`` by variable; ``theta[0]``, ``theta[1]`` become one.

    Elements that do not fill an array (such as ``theta[1]`` alone; counts may begin at 0 or 1)
    remain variables of their own.

    Example:
        >>> {k: v.shape for k, v in variables(np.zeros((5, 3)), ["a[0]", "a[1]", "b"]).items()}
        {'a': (1, 5, 2), 'b': (1, 5)}
    """
    groups: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    for j, name in enumerate(names):
        element = _ELEMENT.fullmatch(name)
        base = element[1] if element else name
        index = tuple(int(k) for k in element[2].split(",")) if element else ()
        groups.setdefault(base, []).append((index, j))
    arrays: dict[str, Any] = {}
    for base, members in groups.items():
        shape = _shape([index for index, _ in members])
        if shape is None:
            arrays |= {names[j]: draws[None, :, j] for _, j in members}
            continue
        columns = [j for _, j in sorted(members)]
        arrays[base] = draws[None, :, columns].reshape(1, len(draws), *shape)
    return arrays


def _shape(indices: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of the array that these indices fill, counting from 0 or 1."""
    if len({len(index) for index in indices}) != 1 or len(set(indices)) != len(indices):
        return None
    lows = [min(axis) for axis in zip(*indices, strict=True)]
    highs = [max(axis) for axis in zip(*indices, strict=True)]
    shape = tuple(high - low + 1 for low, high in zip(lows, highs, strict=True))
    return shape if max(lows, default=0) <= 1 and np.prod(shape) == len(indices) else None


def to_arviz(draws: Any, names: Sequence[str], about: dict[str, Any]) -> Any:
    """Return draws ``(n, d)`` as an ArviZ object, with ``about`` in the group's attributes."""
    try:
        import arviz
    except ImportError:
        raise ConfigError("ArviZ is not installed: pip install arviz") from None
    arrays = variables(draws, names)
    if int(arviz.__version__.split(".")[0]) < 1:
        return arviz.from_dict(posterior=arrays, posterior_attrs=about)
    tree = arviz.from_dict({"posterior": arrays})
    tree["posterior"].attrs.update(about)
    return tree


def tail_shape(x: Tensor) -> float:
    """Return the Pareto shape k of the heavier tail of draws ``(n,)``: no moment from 1/k on.

    Example:
        >>> import torch
        >>> z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> tail_shape(z[:, 0]) < 0.3, tail_shape(z[:, 0] / z[:, 1]) > 0.7  # normal, Cauchy
        (True, True)
    """
    count = math.floor(min(len(x) / 5, 3 * math.sqrt(len(x))))
    away = [(side * (x - x.median())).sort()[0] for side in (1, -1)]
    tails = [values[-count:] - values[-count - 1] for values in away]
    above = [tail[tail > 0] for tail in tails]
    return max(fit_pareto(tail)[0] if len(tail) >= _LEAST else 0.0 for tail in above)
