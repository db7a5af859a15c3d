"""Listeners of work from Python: a terminal, a notebook, a listener, or none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from wopt.component import name_of
from wopt.config.model import RunConfig
from wopt.interfaces.listener import Listener, Listeners
from wopt.interfaces.tracker import Tracked, Tracker
from wopt.permission import tracker_allowed
from wopt.runs.notebook import Notebook, in_notebook
from wopt.runs.terminal import Terminal

__all__ = ["ListenerLike", "listener_of", "permitted", "with_tracker"]

ListenerLike = Listener | Callable[[int, str, int, int, float], None] | bool | None
"""A listener; a function of step, kind of work, done, total and loss; or whether to print: ``None``
prints on a terminal and in a notebook."""


class _Quiet(Listener):
    """A listener that shows nothing; warnings are Python's."""

    def warn(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Calls(_Quiet):
    """A listener that calls a function on progress."""

    def __init__(self, function: Callable[[int, str, int, int, float], None]) -> None:
        self.function = function

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Call the function."""
        self.function(step, what, done, total, loss)


QUIET = _Quiet()


def listener_of(choice: ListenerLike, nobody: Listener = QUIET) -> Listener:
    """Return the listener that a choice names.

    Args:
        choice: The choice.
        nobody: Listener for no output.

    Example:
        >>> type(listener_of(False)).__name__, type(listener_of(True)).__name__
        ('_Quiet', 'Terminal')
    """
    if isinstance(choice, Listener):
        return choice
    if callable(choice):
        return _Calls(choice)
    if choice is not False and in_notebook():
        return Notebook()
    console = Console(highlight=False, soft_wrap=True)
    seen = choice is None and console.is_terminal
    return Terminal(console) if choice or seen else nobody


def with_tracker(listener: Listener, tracker: Tracker | None) -> Listener:
    """Return a listener that also calls a tracker, with the tracker's errors as warnings.

    Args:
        listener: Listener that is called first.
        tracker: Tracker that is called after it, so that its errors cannot affect the listener.
    """
    if tracker is None:
        return listener
    return Listeners([listener, Tracked(tracker, listener.warn)])


def permitted(config: RunConfig, listener: Listener, path: Path) -> RunConfig:
    """Return the configuration of a resumed run, without its tracker unless that is allowed.

    Args:
        config: The configuration.
        listener: Warned of a tracker that is left out.
        path: File of the configuration.
    """
    if config.tracker is None or tracker_allowed():
        return config
    listener.warn(
        f"the tracker {name_of(config.tracker)!r} is not told: {path} names it, which may be "
        "another's, and a tracker writes where its options say. Read them, then allow it with "
        "--allow-tracker (in Python: with wopt.allow_tracker():)"
    )
    return config.model_copy(update={"tracker": None})
