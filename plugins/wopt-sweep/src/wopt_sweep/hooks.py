"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the command."""
    registry.add_command(
        "sweep",
        "wopt_sweep.command:sweep_command",
        summary="run several settings and seeds, and write the best",
        reads=True,
    )
