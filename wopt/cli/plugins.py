"""``wopt plugins``: imports components, and torch, only with ``--failed``."""

from __future__ import annotations

import json

import click

from wopt.errors import WoptError
from wopt.host import host


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--kind", help="Only components of this kind.")
@click.option("--failed", is_flag=True, help="Only failed plugins; imports all components.")
def plugins_command(as_json: bool, kind: str | None, failed: bool) -> None:
    """List plugins and the components they bring."""
    if failed:
        _import_all()
    plugins = [p for p in host().plugins if p.status == "failed" or not failed]
    if as_json:
        click.echo(json.dumps([p.to_dict() for p in plugins], indent=2))
        return
    for plugin in plugins:
        click.secho(f"{plugin.name}", bold=True, nl=False)
        click.echo(f"  {plugin.distribution} {plugin.version}  ", nl=False)
        click.secho(plugin.status, fg="green" if plugin.status == "ok" else "red")
        if plugin.error:
            click.echo(f"    {plugin.error}")
        for entry in plugin.components:
            if kind in (None, entry.kind):
                click.echo(f"    {entry.kind:<10} {entry.name:<20} {entry.summary}")
    if not plugins:
        click.echo("no plugin" + (" failed" if failed else "s are installed"))


def _import_all() -> None:
    """Import every component; a plugin with one that does not load counts as failed."""
    for plugin in host().plugins:
        for entry in plugin.components:
            try:
                host().registry.load(entry.kind, entry.qualified)
            except WoptError as error:
                plugin.status, plugin.error = "failed", str(error)
