"""Who is told of work called for from Python: a terminal, a notebook, a listener, nobody."""

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
"""A listener; a function of the step, what is done, how much of it, of how much, and the loss;
whether to print; ``None`` prints where somebody looks: on a terminal and in a notebook."""


class _Quiet(Listener):
    """Shows nothing; what went wrong is a warning of Python's."""

    def warn(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Calls(_Quiet):
    """Calls a function as work goes on."""

    def __init__(self, function: Callable[[int, str, int, int, float], None]) -> None:
        self.function = function

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Call it."""
        self.function(step, what, done, total, loss)


QUIET = _Quiet()


def listener_of(choice: ListenerLike, nobody: Listener = QUIET) -> Listener:
    """Return the listener that a choice names.

    Args:
        choice: It.
        nobody: Stands for nobody.

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
    """Return a listener that tells a tracker too; the tracker's errors are told to the first.

    Args:
        listener: Told first.
        tracker: Told after it, so that what it does wrong cannot keep anything from others.
    """
    if tracker is None:
        return listener
    return Listeners([listener, Tracked(tracker, listener.warn)])


def permitted(config: RunConfig, listener: Listener, path: Path) -> RunConfig:
    """Return the configuration of a run that goes on, without a tracker unless that is allowed.

    Args:
        config: It.
        listener: Told of a tracker that is left out.
        path: Where the configuration was read.
    """
    if config.tracker is None or tracker_allowed():
        return config
    listener.warn(
        f"the tracker {name_of(config.tracker)!r} is not told: {path} names it, which may be "
        "another's, and a tracker writes where its options say. Read them, then allow it with "
        "--allow-tracker (in Python: with wopt.allow_tracker():)"
    )
    return config.model_copy(update={"tracker": None})
