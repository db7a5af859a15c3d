"""How the command ``wopt`` begins and ends: Ctrl-C at any time, errors in one message each."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from wopt.errors import WoptError

_IMPORTING = "<frozen importlib"

_SOON = 0.02
"""Seconds after which a Ctrl-C is repeated that could not raise an exception."""


@contextlib.contextmanager
def quit_while_importing() -> Iterator[None]:
    """End the process with status 130 on Ctrl-C within an import; elsewhere, as usual, raise.

    Importing torch takes seconds, mostly in C, where KeyboardInterrupt is swallowed or becomes an
    ImportError. During imports nothing needs to be cleaned up.
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


def main() -> None:
    """Run the command line; mistakes give one message and exit status 2."""
    try:
        with quit_while_importing():
            status = _run()
    except KeyboardInterrupt as error:
        status = _fail(str(error) or "interrupted", 130)
    except BaseException as error:  # an error in a plugin, or in wopt itself
        status = _fail(_unexpected(error), 1)
    sys.exit(status if isinstance(status, int) else 0)


def _run() -> Any:
    import click

    from wopt.cli.commands import cli, wants_help

    if os.environ.get("RANK", "0") != "0" and wants_help(sys.argv[1:]):
        return 0  # of several processes only the first prints help
    try:
        return cli(standalone_mode=False)
    except click.exceptions.Abort as error:  # click's word for Ctrl-C
        return _fail(str(error.__cause__ or "") or "interrupted", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except WoptError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        return _fail(f"{why}; files already written are complete", 1)
    except (MemoryError, RuntimeError) as error:
        from wopt.memory import of_memory

        if not of_memory(error):
            raise
        return _fail(_NO_MEMORY, 2)


_NO_MEMORY = (
    "there is not enough memory for this; make the sizes smaller that were asked for (rows, "
    "samples, width, batch_size, particles). Files already written are complete"
)


def _unexpected(error: BaseException) -> str:
    """Return a line on an unexpected error: whose code raised it, and its message."""
    from wopt.origin import culprit, in_words

    if os.environ.get("WOPT_TRACEBACK", "") not in ("", "0"):
        traceback.print_exception(error)
    who = culprit(error)
    if who is None and isinstance(error, SystemExit):
        raise error
    more = "WOPT_TRACEBACK=1 shows the traceback"
    if who is not None:
        return f"{who}: {in_words(error)}; this is for its authors to mend ({more})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}, line {last.lineno}"
    return f"wopt did not expect {in_words(error)} ({where}); please report it ({more})"


def _fail(message: str, status: int) -> int:
    import click

    from wopt.cli.output import on_this_line
    from wopt.reading import printable

    if os.environ.get("WORLD_SIZE", "1") != "1":  # one of the processes that torchrun started
        message = f"(process {os.environ.get('RANK')}) {message}"
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(printable(on_this_line(message)), err=True)
    return status
