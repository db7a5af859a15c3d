"""Checks of memory before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from wopt.errors import UserError

__all__ = ["check_room", "of_memory", "physical", "within_memory"]

T = TypeVar("T")

_UNKNOWN = 2**36
"""Bytes of memory that are assumed if the system does not tell."""


def physical() -> int:
    """Return the bytes of memory of this machine.

    Example:
        >>> physical() > 2**28
        True
    """
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def check_room(needed: float, what: str) -> None:
    """Raise if something takes more memory than this machine has.

    Args:
        needed: Bytes needed.
        what: What needs them, in words, with the option that makes it smaller.

    Raises:
        UserError: The memory does not suffice.

    Example:
        >>> check_room(1e15, "samples; ask for fewer with -n")
        Traceback (most recent call last):
        wopt.errors.UserError: ...
    """
    if needed > physical():
        raise UserError(
            f"{what}: that takes {needed / 2**30:,.0f} GiB of memory, and this machine has "
            f"{physical() / 2**30:,.1f} GiB"
        )


def within_memory(
    make: Callable[[], T], what: str, *, share: float = 1.0, together: bool = False
) -> T:
    """Return the result of a function, unless a tensor that it allocates is too large.

    Each tensor is checked before it is allocated.

    Args:
        make: The function, which must not count its tensors itself.
        what: Its result, in words, with the option that makes it smaller.
        share: Fraction of the memory that one tensor may take.
        together: Whether that fraction limits the sum of all tensors, for tensors that are kept.

    Raises:
        UserError: The tensors take more.

    Example:
        >>> import torch
        >>> within_memory(lambda: torch.zeros(3), "a vector").tolist()
        [0.0, 0.0, 0.0]
        >>> within_memory(lambda: torch.randn(10**9, 10**9), "a layer; set `width` lower")
        Traceback (most recent call last):
        wopt.errors.UserError: ...
    """
    from wopt.allocations import Allocations

    watching = Allocations(lambda needed: check_room(needed / share, what), together=together)
    try:
        with watching:
            return make()
    except (MemoryError, RuntimeError) as error:
        if not of_memory(error):
            raise
        raise UserError(f"{what}: there is not enough memory for it") from None


_SAID = ("can't allocate memory", "not enough memory", "out of memory", "storage size calculation")


def of_memory(error: Exception) -> bool:
    """Whether an error means that Python or torch could not get memory.

    Example:
        >>> of_memory(MemoryError()), of_memory(RuntimeError("shapes do not fit"))
        (True, False)
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _SAID)
