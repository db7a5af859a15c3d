"""``wopt init``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default="wopt.toml")
@click.option("--source", default="toy", show_default=True, help="Where the start comes from.")
@click.option("--objective", help="What to minimise.")
@click.option("--scheme", help="How to step.")
@click.option("--block", help="With which maps.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(
    file: Path,
    source: str,
    objective: str | None,
    scheme: str | None,
    block: str | None,
    force: bool,
) -> None:
    """Write a commented configuration with every option and its default to FILE."""
    from wopt.config.template import template
    from wopt.errors import ConfigError
    from wopt.files import write_text

    if file.exists() and not force:
        raise ConfigError(f"{file}: is there already; choose another name, or --force")
    wishes = {"source": source, "objective": objective, "scheme": scheme, "block": block}
    write_text(file, template({k: v for k, v in wishes.items() if v is not None}))
    click.echo(f"{file} is written; train with `wopt run {file}`")
