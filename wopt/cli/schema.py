"""``wopt schema``."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of configurations with all installed components."""
    from wopt.config.schema import schema

    click.echo(json.dumps(schema(), indent=2))
