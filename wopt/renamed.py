"""Old spellings of public names, which go on working with a warning."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def old_method(old: str, new: str) -> Callable[..., Any]:
    """Return a method that warns and calls the one of the new name."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        message = f"{type(self).__name__}.{old} is now {new}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(self, new)(*args, **kwargs)

    call.__doc__ = f"Call :meth:`{new}`, whose old name this is."
    return call


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """Return a decorator by which a function takes keyword arguments by their old names too."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                message = f"the argument {old} of {function.__name__} is now {names[old]}"
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def both_names(cls: type, names: Mapping[str, str]) -> None:
    """Make what a class defines by an old or a new name known by both.

    For methods that classes of others override: those that still do so by the old name run as
    they did.
    """
    for old, new in names.items():
        own = cls.__dict__
        if old in own and new not in own:
            message = f"{cls.__module__}.{cls.__name__}.{old} is now {new}"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
            setattr(cls, new, own[old])
        elif new in own and old not in own:
            setattr(cls, old, own[new])
