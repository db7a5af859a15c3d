"""The command ``wopt``: its subcommands, imported when used, and options of permission."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import click

from wopt.distributions import how_to_get
from wopt.host import host
from wopt.permission import allow_changed_data, allow_code, allow_tracker
from wopt.registry import resolve


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


_OF_SEVERAL = ("run", "resume")
"""Commands that the processes of ``torchrun`` can do together."""


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help, which one process answers."""
    return not words or any(word in ("-h", "--help", "--version") for word in words)


class _Lazy(click.Group):
    """A group that imports a subcommand when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(host().registry.commands)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        found = host().registry.commands.get(name)
        if found is None:
            get = how_to_get("command", name)
            if get is not None:
                raise click.UsageError(f"`wopt {name}` is not installed; {get}")
            return None
        if (
            name not in _OF_SEVERAL
            and not wants_help(sys.argv[1:])
            and os.environ.get("WORLD_SIZE", "1") != "1"
        ):
            raise click.UsageError(
                f"`wopt {name}` is for one process, and torchrun started several; they share "
                f"{' and '.join(f'`wopt {each}`' for each in _OF_SEVERAL)} alone"
            )
        command: click.Command = resolve(found.path)
        if found.reads:
            return with_permission(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wopt-core", prog_name="wopt")
def cli() -> None:
    """Optimise over probability measures, in Wasserstein space, on flow networks.

    `wopt init` writes a configuration to begin with; `wopt run` trains from it.
    """
