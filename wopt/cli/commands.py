"""The command ``wopt``: its subcommands, imported when used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

__all__ = ["COMMANDS", "cli", "wants_help"]

COMMANDS = {
    "run": "train a flow from a configuration file",
    "sweep": "run several settings and seeds, and write the best",
    "plan": "show what would be chosen for data, and why",
    "resume": "go on with an interrupted run",
    "sample": "draw samples with their log-density",
    "score": "log-likelihoods of data under a run's model",
    "certify": "measure what a run guarantees, and how each figure is known",
    "report": "rewrite a run's HTML page",
    "compare": "show runs side by side",
    "cite": "print BibTeX of what a run used",
    "validate": "check a configuration without running it",
    "schema": "print the JSON Schema of all installed options",
    "init": "write a commented configuration to begin with",
    "plugins": "list plugins and what they bring",
    "show": "show a component's options",
    "check": "check a plugin against the laws of its interfaces",
    "new-plugin": "write a plugin package to begin with",
    "doctor": "say what is wrong with an installation, or with a run and how to rescue it",
}

_READ_CONFIGURATIONS = (
    "run", "plan", "sweep", "resume", "sample", "score", "certify", "report", "compare", "cite",
    "validate", "doctor",
)  # fmt: skip


_OF_SEVERAL = ("run", "resume")
"""Commands that the processes of ``torchrun`` can do together."""


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help, which one process answers.

    Example:
        >>> wants_help(["run", "--help"]), wants_help(["run", "help.toml"])
        (True, False)
    """
    return not words or any(word in ("-h", "--help", "--version") for word in words)


class _Lazy(click.Group):
    """A group that imports a subcommand when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
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
        command: click.Command = importlib.import_module(
            f"wopt.cli.{name.replace('-', '_')}"
        ).command
        if name in _READ_CONFIGURATIONS:
            from wopt.cli.permission import with_permission

            return with_permission(command)
        return command


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wopt-core", prog_name="wopt")
def cli() -> None:
    """Optimise over probability measures, in Wasserstein space, on flow networks.

    `wopt init` writes a configuration to begin with; `wopt run` trains from it.
    """
