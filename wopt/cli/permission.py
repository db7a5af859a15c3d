"""The options with which a person allows code that a configuration names, and other data."""

from __future__ import annotations

import click

from wopt.permission import allow_changed_data, allow_code

__all__ = ["with_permission"]


def with_permission(command: click.Command) -> click.Command:
    """Return the command with the options ``--allow-code`` and ``--allow-changed-code``."""
    known = {option for parameter in command.params for option in parameter.opts}
    if "--allow-code" not in known:
        command.params += [
            click.Option(
                ["--allow-code"],
                is_flag=True,
                expose_value=False,
                callback=_allow,
                help="Run the Python file that the configuration names, such as a target's.",
            ),
            click.Option(
                ["--allow-changed-code"],
                is_flag=True,
                expose_value=False,
                callback=_allow_changed,
                help="The same, also if the file is not the one that the run recorded.",
            ),
            click.Option(
                ["--allow-changed-data"],
                is_flag=True,
                expose_value=False,
                callback=_allow_data,
                help="Go on if the source gives other data than the run was made from.",
            ),
        ]
    return command


def _allow(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.with_resource(allow_code())


def _allow_changed(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.with_resource(allow_code(changed=True))


def _allow_data(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.with_resource(allow_changed_data())
