"""Reading a model back: from a run directory, or from the file that a flow was saved to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wopt.config.model import RunConfig, validate
from wopt.errors import ConfigError
from wopt.flow import Base, Chain, Flow, SourceBase, TargetBase
from wopt.flow.own import in_own_units
from wopt.flow.save import load_flow
from wopt.interfaces.conditional import conditional
from wopt.runs.fingerprint import check_data
from wopt.runs.prepare import model_of
from wopt.store.checkpoint import load_blocks, load_transform
from wopt.store.directory import RunDirectory

__all__ = ["LoadedRun", "load", "load_run"]


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run read from its directory.

    Attributes:
        config: The run's configuration.
        flow: The model.
        names: Names of the columns.
    """

    config: RunConfig
    flow: Flow
    names: tuple[str, ...]


def load(path: Path | str) -> Flow:
    """Read a model: a run directory, or a file that :meth:`Flow.save` wrote.

    Reading a model never runs code from it.

    Raises:
        ConfigError: The run or file does not exist.
        RunError: The run or file is damaged.

    Example:
        >>> import pathlib, tempfile, torch, wopt
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> solution = wopt.fit(x, block="affine", stop={"steps": 1}, solver={"iterations": 5})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = wopt.load(solution.flow.save(pathlib.Path(folder) / "model.wopt"))
        >>> torch.equal(again.log_prob(x), solution.flow.log_prob(x))
        True
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or run directory")
    return load_flow(path) if path.is_file() else load_run(path).flow


def load_run(path: Path | str) -> LoadedRun:
    """Read a run; its data are read only where the start's law needs them, on first use.

    Raises:
        ConfigError: The run does not exist.
        RunError: The run is damaged.
    """
    run = RunDirectory(Path(path))
    config = validate(run.read_config(), str(run.config))
    transform, names, conditions = load_transform(run)
    blocks = load_blocks(run, config, len(transform.shift), transform.condition)
    objective = config.objective
    if conditions is not None:
        objective = conditional(objective, conditions)
    base: Base = TargetBase(objective.target, len(transform.shift))
    if config.model == "push_forward":
        base = SourceBase(
            config.source, config.seed, check=lambda data: check_data(run, config.source, data)
        )
    chain = Chain(blocks, transform).to(config.device)
    flow = in_own_units(model_of(chain, base, names), config.objective.target)
    return LoadedRun(config, flow, names)
