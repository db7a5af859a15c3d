"""``wopt validate``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("validate")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="K=V", help="Override an option.")
@click.option("--show", is_flag=True, help="Print the resolved configuration.")
def command(config: Path, settings: tuple[str, ...], show: bool) -> None:
    """Check CONFIG without running it: names, options, files, and whether the parts fit."""
    import tomli_w

    from wopt.cli.common import read, warn_of_plugins
    from wopt.config.model import to_table
    from wopt.train.check import check_parts

    warn_of_plugins()
    chosen = read(config, settings)
    chosen.source.check()
    # Whether the start's density is known is seen only when the source is loaded.
    check_parts(chosen.objective, chosen.scheme, chosen.block_specs, log_density=True)
    click.echo(tomli_w.dumps(to_table(chosen)) if show else f"{config}: valid")
