"""The origin of a component: its plugin, its distribution, and the method of an error."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from wopt.errors import PluginError, WoptError
from wopt.host import host
from wopt.reading import message_of
from wopt.registry import KINDS

_CORE = Path(__file__).parent
_FOREIGN = ("functools.py", "contextlib.py")


def origin(cls: type) -> str:
    """Return a component's class in words: kind, name, plugin, distribution."""
    kind = str(getattr(cls, "kind", ""))
    registry = host().registry
    try:
        name = registry.name_of(kind, cls)
        entry = registry.find(kind, name)
    except WoptError:  # a class of the user's own
        return f"{kind} {cls.__name__} ({cls.__module__})"
    for plugin in host().plugins:
        if plugin.name == entry.plugin:
            where = f"distribution {plugin.distribution!r} {plugin.version}"
            return f"{kind} {name!r} of plugin {plugin.name!r} ({where})"
    return f"{kind} {name!r} of this session ({cls.__module__})"


def in_words(error: BaseException) -> str:
    """Return an error on one line, with its type."""
    return f"{type(error).__name__}: {message_of(error)[:500]}"


def culprit(error: BaseException) -> str | None:
    """Return in words the component and its method in which an error arose, if any.

    It is the innermost component on the stack that does not belong to wopt.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    at = next((f for f in reversed(frames) if _component(f) and not _is_core(f)), None)
    if at is None:
        return None
    of = at.f_locals["self"]
    methods = [
        f.f_code.co_name
        for f in frames
        if f.f_locals.get("self") is of and not _is_core(f) and _is_public(f.f_code.co_name)
    ]
    return f"{origin(type(of))}, method {methods[0] if methods else at.f_code.co_name}"


def a_value(what: Any) -> str:
    """Return a value in words: its type, and the shape of a tensor or an array."""
    name = type(what).__name__
    if hasattr(what, "shape") and hasattr(what, "dtype"):
        return f"{name} of shape {tuple(what.shape)}, {str(what.dtype).removeprefix('torch.')}"
    if isinstance(what, (tuple, list)) and len(what) == 2:
        return f"{name} of ({a_value(what[0])}, {a_value(what[1])})"
    return repr(what) if isinstance(what, (bool, int, float, type(None))) else name


def check_returned(component: Any, method: str, given: Any, wanted: str | None) -> None:
    """Raise for a wrong result of a component's method, in one line that names both."""
    if wanted:
        raise PluginError(
            f"{origin(type(component))}, method {method}: returned {a_value(given)}; "
            f"wanted is {wanted}"
        )


def strict() -> bool:
    """Whether methods defined now check what they return: ``WOPT_STRICT=1``."""
    return os.environ.get("WOPT_STRICT", "") not in ("", "0")


def returning(method: Callable[..., Any], lacking: Callable[..., str | None]) -> Callable[..., Any]:
    """Wrap a method so that its result is checked at every call."""

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = method(self, *args, **kwargs)
        check_returned(self, method.__name__, given, lacking(self, args, given))
        return given

    return checked


def _component(frame: FrameType) -> bool:
    of: Any = frame.f_locals.get("self")
    return of is not None and getattr(type(of), "kind", None) in KINDS


def _is_core(frame: FrameType) -> bool:
    path = Path(frame.f_code.co_filename)
    return _CORE in path.parents or path.name in _FOREIGN or "torch" in path.parts


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name in ("__call__", "__init__")
