"""``wopt check``."""

from __future__ import annotations

import click


@click.command("check")
@click.argument("plugin")
def check_command(plugin: str) -> int:
    """Check every component of PLUGIN against the laws of its interface.

    Exit status: 0 all laws hold, 1 one is broken, 2 the plugin does not exist.
    """
    from wopt.errors import PluginError, WoptError
    from wopt.host import host
    from wopt.origin import culprit, in_words
    from wopt.registry import close_matches
    from wopt_testing import check_component

    plugins = {p.name: p for p in host().plugins} | {p.distribution: p for p in host().plugins}
    if plugin not in plugins:
        known = sorted({p.name for p in host().plugins})
        raise PluginError(
            f"no plugin is called {plugin!r}; installed: {', '.join(known)}"
            f"{close_matches(plugin, known)}"
        )
    info = plugins[plugin]
    if info.status == "failed":
        click.secho(f"{info.name}: failed to load: {info.error}", fg="red")
        return 1
    broken = 0
    for entry in info.components:
        click.echo(f"{entry.kind} {entry.name}: ", nl=False)
        try:
            laws = check_component(entry.kind, entry.qualified)
        except WoptError as error:
            broken += 1
            click.secho(f"broken: {error}", fg="red")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a component may raise anything
            broken += 1
            who = culprit(error)
            where = "" if who is None else f"{who.rpartition(', ')[2]}: "
            click.secho(f"broken: {where}{in_words(error)}", fg="red")
        else:
            click.secho("ok", fg="green", nl=False)
            click.echo(f"  {', '.join(laws)}")
    return 1 if broken else 0
