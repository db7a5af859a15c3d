"""Maps that torch.compile compiles while they are trained."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from wopt.errors import ConfigError
from wopt.interfaces.block import FlowBlock
from wopt.memory import of_memory

__all__ = ["compiled", "compiling"]

_wanted = False


@contextlib.contextmanager
def compiling(wanted: bool) -> Iterator[None]:
    """Set whether maps trained inside are compiled."""
    global _wanted
    before, _wanted = _wanted, wanted
    try:
        yield
    finally:
        _wanted = before


@contextlib.contextmanager
def compiled(block: FlowBlock) -> Iterator[None]:
    """Let a block be trained by compiled code inside, if :func:`compiling` asks for it.

    Raises:
        CapabilityError: The block cannot be compiled.
    """
    if not _wanted:
        yield
        return
    block.compile_training(_compiler)
    try:
        yield
    finally:
        block.compile_training(None)


@functools.cache
def _compiler(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, compiled for each shape of its arguments when it is called."""
    made = torch.compile(function, dynamic=False, fullgraph=True)

    @functools.wraps(function)
    def call(*given: Any) -> Any:
        try:
            return made(*given)
        except RuntimeError as error:  # of the compiler, whose errors have no public class
            if of_memory(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"run.compile = true: torch.compile cannot make the maps of this run here "
                f"({reason[:160]}); leave it out"
            ) from None

    return call
