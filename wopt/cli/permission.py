"""Options that allow code, changed data and trackers of configurations and run directories."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click

from wopt.permission import allow_changed_data, allow_code, allow_tracker

__all__ = ["with_permission"]


def with_permission(command: click.Command) -> click.Command:
    """Return the command with the options that allow code, changed data and trackers."""
    known = {option for parameter in command.params for option in parameter.opts}
    if "--allow-code" not in known:
        command.params += [
            _flag(
                "--allow-code",
                allow_code,
                "Run the Python file that the configuration names, such as a target's.",
            ),
            _flag(
                "--allow-changed-code",
                functools.partial(allow_code, changed=True),
                "The same, also if the file is not the one that the run recorded.",
            ),
            _flag(
                "--allow-changed-data",
                allow_changed_data,
                "Continue if the source gives other data than the run was made from.",
            ),
            _flag(
                "--allow-tracker",
                allow_tracker,
                "Continue with the tracker that the run directory names.",
            ),
        ]
    return command


def _flag(name: str, allow: Callable[[], AbstractContextManager[Any]], words: str) -> click.Option:
    """Return an option that allows something until the command ends."""

    def given(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.with_resource(allow())

    return click.Option([name], is_flag=True, expose_value=False, callback=given, help=words)
