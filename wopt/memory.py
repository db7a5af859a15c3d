"""Memory: whether what is asked for fits, and what is said if it does not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from wopt.errors import UserError

PIECE = 2**16
"""Rows of a table that are processed at a time."""

_UNKNOWN = 2**36
"""Bytes of memory that are assumed if the system does not tell."""


def physical() -> int:
    """Return the bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def check_room(needed: float, what: str) -> None:
    """Raise if something takes more memory than this machine has."""
    if needed > physical():
        raise UserError(
            f"{what}: that takes {needed / 2**30:,.0f} GiB of memory, and this machine has "
            f"{physical() / 2**30:,.1f} GiB"
        )


@contextlib.contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Turn errors of torch and Python about memory into one that says what needs it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not of_memory(error):
            raise
        raise UserError(f"{what}: there is not enough memory for it") from None


_SAID = ("can't allocate memory", "not enough memory", "out of memory", "storage size calculation")


def of_memory(error: Exception) -> bool:
    """Whether an error means that Python or torch could not get memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _SAID)
