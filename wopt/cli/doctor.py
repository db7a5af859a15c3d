"""``wopt doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import version

import click

from wopt.distributions import SHIPPED, foreign, how_to_get, installed

__all__ = ["command"]

_PACKAGES = ("wopt-core", "torch", "numpy", "pydantic", "pluggy", "safetensors", "click", "rich")


@click.command("doctor")
def command() -> int:
    """Report versions, devices, and every plugin or component that does not load, and why."""
    import torch

    from wopt.errors import WoptError
    from wopt.host import host

    click.echo(f"python {platform.python_version()} on {platform.platform()}")
    for package in _PACKAGES:
        click.echo(f"{package} {version(package)}")
    click.echo(f"{os.cpu_count()} processors, torch uses {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        click.echo(f"cuda:{index} {torch.cuda.get_device_name(index)}")
    if not torch.cuda.is_available():
        click.echo("no CUDA device")
    click.echo(f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free here")
    failures = 0
    for plugin in host().plugins:
        click.echo(
            f"plugin {plugin.name} ({plugin.distribution} {plugin.version}): {plugin.status}"
        )
        if plugin.traceback:
            failures += 1
            click.echo(plugin.traceback)
        for entry in plugin.components:
            try:
                host().registry.load(entry.kind, entry.qualified)
            except WoptError as error:
                failures += 1
                click.secho(f"  {error}", fg="red")
    missing = [package for package in SHIPPED if not installed(package)]
    for package in missing:
        brings = "; ".join(f"{kind} {names}" for kind, names in SHIPPED[package].items())
        click.echo(f"not installed: {package} ({brings})")
    for problem in _problems():
        failures += 1
        click.secho(problem, fg="red")
    click.echo("all is well" if not failures else f"{failures} problem(s) found")
    return 1 if failures else 0


def _problems() -> list[str]:
    """Return what makes runs impossible, or will."""
    from wopt.host import host

    problems = []
    other = foreign()
    if other is not None:
        problems.append(other)
    for kind, name in (("objective", "kl"), ("scheme", "jko"), ("block", "ode")):
        if name not in host().registry.names(kind):
            problems.append(f"the default {kind} {name!r} is missing: {how_to_get(kind, name)}")
    if not host().registry.names("source"):
        problems.append(f"there is no source of data: {how_to_get('source', 'array')}")
    return problems
