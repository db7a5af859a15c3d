"""Reading a run back as a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wopt.config.model import RunConfig, validate
from wopt.flow import Direction, Flow
from wopt.store.checkpoint import load_blocks, load_transform
from wopt.store.directory import RunDirectory
from wopt.runs.prepare import start_of
from wopt.interfaces.conditional import conditional
from wopt.seeds import derive

__all__ = ["LoadedRun", "load"]


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run read from its directory.

    Attributes:
        config: Its configuration.
        flow: The model.
        names: The columns' names.
    """

    config: RunConfig
    flow: Flow
    names: tuple[str, ...]


def load(path: Path | str) -> LoadedRun:
    """Read a run's model; data are read again only where the start's law is needed.

    Raises:
        ConfigError: There is no run.
        RunError: It is damaged.
    """
    run = RunDirectory(Path(path))
    config = validate(run.read_config(), str(run.config))
    transform, names, conditions = load_transform(run)
    blocks = load_blocks(run, config, len(transform.shift), transform.condition)
    objective = config.objective
    if conditions is not None:
        objective = conditional(objective, conditions)
    direction: Direction = "pull_back" if config.model == "auto" else config.model
    start = None
    if direction == "push_forward":
        start = start_of(config.source.load(derive(config.seed, "source")))
    return LoadedRun(config, Flow(blocks, objective.target, transform, direction, start), names)
