"""Checks of the results of components' methods, under ``WOPT_STRICT=1``; errors name the author."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from wopt.capabilities import Capability
from wopt.data.dataset import Dataset
from wopt.data.transform import AffineTransform
from wopt.origin import a_value

__all__ = ["BLOCK", "OBJECTIVE", "SCHEME", "SOURCE", "STEP_SIZE", "TARGET"]

Checks = dict[str, Callable[..., str | None]]
"""Check of each method: takes the component, the arguments and the result, and returns what was
expected, in words, or ``None`` if the result is right."""


def _points(block: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected T(x), in words, or ``None``."""
    if not arguments:
        return None
    x = arguments[0]
    if isinstance(given, Tensor) and given.shape == x.shape and given.dtype == x.dtype:
        return None
    return f"a tensor of shape {tuple(x.shape)} in {str(x.dtype).removeprefix('torch.')}"


def _pair(block: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected (T(x), log-det), in words, or ``None``."""
    if not arguments:
        return None
    x = arguments[0]
    if isinstance(given, tuple) and len(given) == 2:
        wrong = _points(block, arguments, given[0])
        known = isinstance(given[1], Tensor) and given[1].shape == x.shape[:-1]
        if not wrong and (known or Capability.LOG_DET not in block.provides):
            return None
    dtype = str(x.dtype).removeprefix("torch.")
    shapes = f"{tuple(x.shape)} and {tuple(x.shape[:-1])}"
    return f"a pair (points, log-det) of tensors of shapes {shapes} in {dtype}"


def _state(block: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected saved state of a block, in words, or ``None``."""
    fits = isinstance(given, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in given.items()
    )
    return None if fits else "a dict of names to tensors"


def _scalar(objective: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected energy, in words, or ``None``."""
    fits = isinstance(given, Tensor) and given.ndim == 0 and given.is_floating_point()
    return None if fits else "a tensor without dimensions"


def _values(component: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected values of particles or rows, in words, or ``None``."""
    if not arguments:
        return None
    n = len(arguments[0])
    if isinstance(given, Tensor) and given.shape == (n,) and given.is_floating_point():
        return None
    if given is None and component.kind == "objective":
        return None
    return f"a tensor of shape ({n},), a value a row"


def _terms(objective: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected summands of an objective, in words, or ``None``."""
    if isinstance(given, Mapping) and all(
        isinstance(key, str) and isinstance(value, (int, float, Tensor))
        for key, value in given.items()
    ):
        return None
    return "a dict of names to scalars"


def _samples(target: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected samples of a target, in words, or ``None``."""
    if len(arguments) < 2:
        return None
    n, dim = arguments[:2]  # a target known by rows may have fewer of them
    if isinstance(given, Tensor) and given.is_floating_point() and given.ndim == 2:
        rows, columns = given.shape
    else:
        rows, columns = 0, 0
    if rows and columns == dim:
        return None
    return f"a tensor of shape ({n}, {dim})"


def _plan(scheme: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected plan of a scheme, in words, or ``None``."""
    if isinstance(given, Mapping) and all(
        isinstance(key, str) and isinstance(value, (int, float)) for key, value in given.items()
    ):
        return None
    return "a dict of names to numbers"


def _subproblem(scheme: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected subproblem, in words, or ``None``."""
    from wopt.interfaces.subproblem import Subproblem

    return None if isinstance(given, Subproblem) else "a Subproblem"


def _step_size(rule: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected h, in words, or ``None``."""
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return None if number and 0 < given < math.inf else "a positive finite number"


def _dataset(source: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected dataset, in words, or ``None``."""
    if not isinstance(given, Dataset):
        return "a wopt.Dataset"
    names: Any = given.names
    if not (isinstance(names, (tuple, list)) and all(isinstance(n, str) for n in names)):
        return f"a Dataset whose names are a tuple of texts, not {a_value(names)}"
    parts = {name: getattr(given, name) for name in ("train", "valid", "test")}
    width = len(names)
    for name, part in parts.items():
        if not (isinstance(part, Tensor) and part.ndim == 2 and part.is_floating_point()):
            return (
                f"a Dataset whose {name} is a tensor of floats, shape (n, d), not {a_value(part)}"
            )
        if part.shape[1] != width:
            return (
                f"a Dataset whose splits have as many columns as names, {width}: {name} has "
                f"{part.shape[1]}"
            )
        if not len(part):
            return f"a Dataset with rows: {name} has none"
    transform: Any = given.transform
    if not isinstance(transform, AffineTransform):
        return f"a Dataset whose transform is an AffineTransform, not {a_value(transform)}"
    return None


def _smaller(rule: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    """Return the expected h after a rejection, in words, or ``None``."""
    return None if given is None else _step_size(rule, arguments, given)


BLOCK: Checks = {
    "forward": _pair,
    "inverse": _pair,
    "audit": _pair,
    "move": _points,
    "state": _state,
}
OBJECTIVE: Checks = {"energy": _scalar, "contributions": _values, "terms": _terms}
SCHEME: Checks = {"subproblem": _subproblem, "plan": _plan}
SOURCE: Checks = {"load": _dataset}
STEP_SIZE: Checks = {"__call__": _step_size, "after_rejection": _smaller}
TARGET: Checks = {"log_prob": _values, "potential": _values, "score": _points, "sample": _samples}
