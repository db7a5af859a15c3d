"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the commands, and the package behind ``wopt.testing``."""
    registry.add_command(
        "check",
        "wopt_testing.command:check_command",
        summary="check a plugin against the laws of its interfaces",
    )
    registry.add_command(
        "new-plugin",
        "wopt_testing.new_plugin:new_plugin_command",
        summary="write a plugin package to begin with",
    )
    registry.add_function("testing", "wopt_testing")
