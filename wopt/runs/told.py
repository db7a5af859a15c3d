"""Who is told of a solve from Python: a terminal or a notebook, a listener, a function, nobody."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from wopt.interfaces.listener import Listener
from wopt.runs.notebook import Notebook, in_notebook
from wopt.runs.terminal import Terminal

__all__ = ["Progress", "listener_of"]

Progress = Listener | Callable[[int, str, int, int, float], None] | bool | None
"""A listener; a function of the step, what is done, how much of it, of how much, and the loss;
whether to print; ``None`` prints where somebody looks: on a terminal and in a notebook."""


class _Calls(Listener):
    """Calls a function as work goes on."""

    def __init__(self, function: Callable[[int, str, int, int, float], None]) -> None:
        self.function = function

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Call it."""
        self.function(step, what, done, total, loss)


def listener_of(progress: Progress) -> Listener:
    """Return the listener that a choice names.

    Example:
        >>> type(listener_of(False)).__name__, type(listener_of(True)).__name__
        ('Listener', 'Terminal')
    """
    if isinstance(progress, Listener):
        return progress
    if callable(progress):
        return _Calls(progress)
    if progress is not False and in_notebook():
        return Notebook()
    console = Console(highlight=False, soft_wrap=True)
    seen = progress is None and console.is_terminal
    return Terminal(console) if progress or seen else Listener()
