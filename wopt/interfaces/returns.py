"""Checks of the results of components' methods, under ``WOPT_STRICT=1``; errors name the author.

A check takes the component, the arguments and the result, and returns what was expected, in words,
or ``None`` if the result is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from wopt.capabilities import Capability
from wopt.data.dataset import Dataset
from wopt.data.transform import AffineTransform
from wopt.origin import a_value

Check = Callable[[Any, tuple[Any, ...], Any], str | None]
Checks = dict[str, Check]


def _is(words: str, fits: Callable[[Any], bool]) -> Check:
    """Return the check of a result by itself."""
    return lambda component, arguments, given: None if fits(given) else words


def _names_of(words: str, *types: type) -> Check:
    """Return the check of a dict of names to values of some types."""
    return _is(
        f"a dict of names to {words}",
        lambda given: (
            isinstance(given, Mapping)
            and all(isinstance(k, str) and isinstance(v, types) for k, v in given.items())
        ),
    )


def _floats(given: Any, *shape: int) -> bool:
    return isinstance(given, Tensor) and given.is_floating_point() and given.shape == shape


def _points(block: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    if not arguments:
        return None
    x = arguments[0]
    if isinstance(given, Tensor) and given.shape == x.shape and given.dtype == x.dtype:
        return None
    return f"a tensor of shape {tuple(x.shape)} in {str(x.dtype).removeprefix('torch.')}"


def _pair(block: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
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


def _values(component: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    if not arguments or (given is None and component.kind == "objective"):
        return None
    n = len(arguments[0])
    return None if _floats(given, n) else f"a tensor of shape ({n},), a value a row"


def _samples(target: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    if len(arguments) < 2:
        return None
    n, dim = arguments[:2]  # a target known by rows may have fewer of them
    rows = len(given) if isinstance(given, Tensor) and given.ndim else 0
    return None if rows and _floats(given, rows, dim) else f"a tensor of shape ({n}, {dim})"


def _subproblem(scheme: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    from wopt.interfaces.subproblem import Subproblem

    return None if isinstance(given, Subproblem) else "a Subproblem"


def _positive(given: Any) -> bool:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return number and 0 < given < math.inf


def _dataset(source: Any, arguments: tuple[Any, ...], given: Any) -> str | None:
    if not isinstance(given, Dataset):
        return "a wopt.Dataset"
    names: Any = given.names
    if not (isinstance(names, (tuple, list)) and all(isinstance(n, str) for n in names)):
        return f"a Dataset whose names are a tuple of texts, not {a_value(names)}"
    for name in ("train", "valid", "test"):
        part, about = getattr(given, name), f"a Dataset whose {name} is a tensor of floats"
        if not (isinstance(part, Tensor) and part.ndim == 2 and part.is_floating_point()):
            return f"{about}, shape (n, d), not {a_value(part)}"
        if part.shape[1] != len(names):
            return (
                "a Dataset whose splits have as many columns as names, "
                f"{len(names)}: {name} has {part.shape[1]}"
            )
        if not len(part):
            return f"a Dataset with rows: {name} has none"
    transform: Any = given.transform
    if not isinstance(transform, AffineTransform):
        return f"a Dataset whose transform is an AffineTransform, not {a_value(transform)}"
    return None


BLOCK: Checks = {
    "forward": _pair,
    "inverse": _pair,
    "audit": _pair,
    "move": _points,
    "state": _names_of("tensors", Tensor),
}
OBJECTIVE: Checks = {
    "energy": _is("a tensor without dimensions", _floats),
    "contributions": _values,
    "terms": _names_of("scalars", int, float, Tensor),
}
SCHEME: Checks = {"subproblem": _subproblem, "plan": _names_of("numbers", int, float)}
SOURCE: Checks = {"load": _dataset}
STEP_SIZE: Checks = {
    "__call__": _is("a positive finite number", _positive),
    "after_rejection": _is("a positive finite number", lambda h: h is None or _positive(h)),
}
TARGET: Checks = {"log_prob": _values, "potential": _values, "score": _points, "sample": _samples}
