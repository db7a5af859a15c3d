"""The processes of a run, and the memory of its particles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from wopt.config.model import RunConfig
from wopt.mapped import memmap_scope
from wopt.parallel import Team, sharing
from wopt.parallel.launch import launched
from wopt.store.directory import RunDirectory

__all__ = ["carried_out"]


@contextlib.contextmanager
def carried_out(config: RunConfig, out: Path) -> Iterator[None]:
    """Join the run's processes, and keep large tensors in mapped files, within the context.

    Args:
        config: Options of the run; ``[run]`` is used here.
        out: The run directory.

    Raises:
        ConfigError: The number of processes does not fit ``run.shards``.
        TeamError: The processes do not find each other.
    """
    run, folder = config.run, RunDirectory(out).particles
    # The other processes end while the first still measures.
    with (
        launched(run.shards, run.timeout, config.device) as of,
        memmap_scope(folder, run.memory, passing=of.first),
        sharing(of if _by_shard(config, of) else None),
    ):
        yield


def _by_shard(config: RunConfig, of: Team) -> bool:
    """Return whether processes load only their own training rows: no plan needs all of them."""
    planned = config.plan is not None and not config.plan.told
    return config.run.hold == "shard" and of.size > 1 and not planned and not config.smooth_time
