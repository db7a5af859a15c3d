"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the commands."""
    for name, summary in (
        ("init", "write a commented configuration to begin with"),
        ("schema", "print the JSON Schema of all installed options"),
        ("show", "show a component's options"),
    ):
        registry.add_command(name, f"wopt_options.{name}:{name}_command", summary=summary)
