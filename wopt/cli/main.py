"""Start and end of the command ``wopt``: Ctrl-C at any time, one message for each error.

Slow imports are avoided here, so that Ctrl-C works from the first moment on.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Any

from wopt.cli.interrupts import quit_while_importing
from wopt.errors import WoptError

__all__ = ["main"]


def main() -> None:
    """Run the command line; mistakes give one message and exit status 2."""
    try:
        with quit_while_importing():
            status = _run()
    except KeyboardInterrupt:
        status = _fail("interrupted", 130)
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
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except WoptError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader is gone; Python would print an error at exit
        return 0
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

    from wopt.reading import printable

    if os.environ.get("WORLD_SIZE", "1") != "1":  # one of the processes that torchrun started
        message = f"(process {os.environ.get('RANK')}) {message}"
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(printable(message), err=True)
    return status
