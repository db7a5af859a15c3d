"""Old spellings of public names, which go on working with a warning."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["both_names", "old_method", "renamed_arguments"]

F = TypeVar("F", bound=Callable[..., Any])


def old_method(old: str, new: str) -> Callable[..., Any]:
    """Return a method that warns and calls the one of the new name.

    Example:
        >>> class Point:
        ...     def size(self):
        ...         return 2
        ...     length = old_method("length", "size")
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     Point().length(), len(seen)
        (2, 1)
    """

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        message = f"{type(self).__name__}.{old} is now {new}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(self, new)(*args, **kwargs)

    call.__doc__ = f"Call :meth:`{new}`, whose old name this is."
    return call


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """Return a decorator by which a function takes keyword arguments by their old names too.

    Example:
        >>> @renamed_arguments(share="fraction")
        ... def part(fraction):
        ...     return fraction
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     part(share=0.5), len(seen)
        (0.5, 1)
    """

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

    Example:
        >>> class Base:
        ...     def baseline(self):
        ...         return 0
        >>> class Mine(Base):
        ...     def stays(self):
        ...         return 1
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     both_names(Mine, {"stays": "baseline"})
        >>> Mine().baseline(), len(seen)
        (1, 1)
    """
    for old, new in names.items():
        own = cls.__dict__
        if old in own and new not in own:
            message = f"{cls.__module__}.{cls.__name__}.{old} is now {new}"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
            setattr(cls, new, own[old])
        elif new in own and old not in own:
            setattr(cls, old, own[new])
