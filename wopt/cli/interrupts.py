"""Ctrl-C while modules are imported, where an exception would be lost or shown as a traceback."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["quit_while_importing"]

_IMPORTING = "<frozen importlib"

_SOON = 0.02
"""Seconds after which a Ctrl-C is repeated that could not raise an exception."""


@contextlib.contextmanager
def quit_while_importing() -> Iterator[None]:
    """End the process with status 130 on Ctrl-C within an import; elsewhere, as usual, raise.

    Importing torch takes seconds, mostly in C, where KeyboardInterrupt is swallowed or becomes an
    ImportError. During imports nothing needs to be cleaned up.

    Example:
        >>> with quit_while_importing():
        ...     pass
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    before = sys.unraisablehook
    sys.unraisablehook = functools.partial(_again, before)
    try:
        yield
    finally:
        sys.unraisablehook = before
        atexit.unregister(_no_more_exceptions)  # so that it is the first to be called
        atexit.register(_no_more_exceptions)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            os.write(2, b"error: interrupted\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


def _again(others: Callable[[Any], Any], lost: sys.UnraisableHookArgs) -> None:
    """Interrupt again if Python dropped the exception, as in callbacks of garbage collection."""
    if lost.exc_type is KeyboardInterrupt:
        threading.Timer(_SOON, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        others(lost)


def _no_more_exceptions() -> None:
    """Let Ctrl-C end the process while Python exits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
