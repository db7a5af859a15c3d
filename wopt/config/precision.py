"""Checks of the precision of training and of its compiler."""

from __future__ import annotations

from wopt.config.model import RunConfig
from wopt.errors import ConfigError

__all__ = ["check_precision"]


def check_precision(config: RunConfig) -> None:
    """Raise unless ``run.precision`` and ``run.compile`` fit the other options.

    Raises:
        ConfigError: They do not fit; the message names the other option, and a remedy.
    """
    precision, kind = config.run.precision, config.device.split(":")[0]
    if config.run.compile and config.run.shards is not None:
        raise ConfigError(
            "run.compile = true: what a compiler makes of a shard depends on its rows, so "
            "run.shards could not promise the same bits; leave one of them out"
        )
    if precision is None:
        return
    note = f'run.precision = "{precision}"'
    if config.dtype != "float32":
        raise ConfigError(f'{note} is of nets in float32, not dtype = "{config.dtype}"')
    if precision == "tf32" and kind != "cuda":
        raise ConfigError(
            f'{note} is a format of CUDA devices, and device = "{config.device}" has none; leave '
            'it out, or use "bf16"'
        )
    if kind == "mps":
        raise ConfigError(f'{note} audits in float64, which device = "mps" does not have')
    steps = range(len(config.solver.by_step or (None,)))
    for settings in (config.solver.of_step(step) for step in steps):
        if not settings.algorithm.on_batches:
            raise ConfigError(
                f'{note} rounds gradients, which solver.optimiser = "{settings.optimiser}" does '
                "not bear; use adam or muon"
            )
