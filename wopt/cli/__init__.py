"""The command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.cli.common import warn_of_plugins
    from wopt.cli.output import json_option, listener_for, print_json, quiet_option

__all__ = [
    "json_option",
    "listener_for",
    "print_json",
    "quiet_option",
    "warn_of_plugins",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "json_option": "wopt.cli.output",
        "listener_for": "wopt.cli.output",
        "print_json": "wopt.cli.output",
        "quiet_option": "wopt.cli.output",
        "warn_of_plugins": "wopt.cli.common",
    },
)
