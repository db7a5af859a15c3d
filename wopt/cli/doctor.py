"""``wopt doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import click

from wopt.distributions import SHIPPED, foreign, how_to_get, installed
from wopt.errors import ConfigError
from wopt.reading import printable

_PACKAGES = ("wopt-core", "torch", "numpy", "pydantic", "pluggy", "safetensors", "click", "rich")


@click.command("doctor")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option(
    "--rescue",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the model of all steps of DIRECTORY that can be read, for wopt.load.",
)
def doctor_command(directory: Path | None, rescue: Path | None) -> int:
    """Report versions, devices, and every plugin or component that does not load, and why.

    With the DIRECTORY of a run: which of its files are damaged, what can be rescued, and how.

    Exit status: 0 all is well, 1 something is not, 2 the directory does not exist.
    """
    if directory is not None:
        return _of_run(directory, rescue)
    if rescue is not None:
        raise ConfigError("--rescue needs the DIRECTORY of a run")
    return _of_installation()


def _of_run(directory: Path, rescue: Path | None) -> int:
    from wopt.runs.examine import examine, rescued

    if rescue is not None:
        click.echo(str(rescued(directory).save(rescue)))
        return 0
    found = examine(directory)
    for path, why in found.damaged.items():
        name = path.relative_to(directory)
        click.secho(printable(f"{name}: {why}", one_line=True), fg="red")
    steps = "an unknown number of" if found.steps is None else found.steps
    click.echo(f"{steps} step(s) finished, the maps of the first {found.whole} can be read")
    click.echo(f"sample and score: {'yes' if found.sampled else 'no'}")
    click.echo(f"resume: {'yes' if found.resumed else 'no'}")
    for line in found.advice:
        click.echo(printable(line, one_line=True))
    click.echo("all is well" if not found.damaged else f"{len(found.damaged)} problem(s) found")
    return 1 if found.damaged else 0


def _of_installation() -> int:
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
        brings = "; ".join(
            f"{kind} {names}" for kind, names in SHIPPED[package].items() if kind != "function"
        )
        click.echo(f"not installed: {package} ({brings})")
    for problem in _problems():
        failures += 1
        click.secho(problem, fg="red")
    click.echo("all is well" if not failures else f"{failures} problem(s) found")
    return 1 if failures else 0


def _problems() -> list[str]:
    """Return problems that make runs impossible."""
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
