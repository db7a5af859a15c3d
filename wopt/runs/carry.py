"""How a run is carried out: by which processes, and where its particles live."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from wopt.component import name_of
from wopt.config.model import RunConfig
from wopt.errors import CapabilityError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.mapped import memmap_scope
from wopt.parallel import Team
from wopt.parallel.launch import launched
from wopt.runs.preparation import Prepared
from wopt.runtime import Runtime
from wopt.sharded import held
from wopt.store.directory import RunDirectory

__all__ = ["carried_out", "hold"]


@contextlib.contextmanager
def carried_out(config: RunConfig, out: Path) -> Iterator[Runtime]:
    """Yield what computes a run: its processes, joined inside, and its memory.

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
        memmap_scope(folder, run.memory, passing=of.first) as memory,
    ):
        yield Runtime(of, memory, _by_shard(config, of), run.precision, run.compile)


def _by_shard(config: RunConfig, of: Team) -> bool:
    """Return whether processes load only their own training rows: no plan needs all of them."""
    planned = config.plan is not None and not config.plan.told
    return config.run.hold == "shard" and of.size > 1 and not planned and not config.smooth_time


def hold(prepared: Prepared) -> Prepared:
    """Return the run with only the training particles that ``run.hold`` assigns to this process.

    The first process keeps the source's rows, for measuring; the others keep a few.

    Raises:
        CapabilityError: A component, which the message names, needs all particles.
    """
    config = prepared.config
    if config.run.hold == "all":
        return prepared
    for what, why in _needs_all(config, len(prepared.train)):
        raise CapabilityError(
            f'run.hold = "shard": {what} {why}, and no process has all of them; set run.hold = '
            '"all", or choose another'
        )
    of = prepared.runtime.team
    if of.size == 1:
        return prepared
    start = held(prepared.train, of), prepared.valid
    made = dataclasses.replace(prepared, draw=None, start=start)
    data = made.dataset
    if of.first or data is None:
        return made
    few = {name: getattr(data, name)[:2].clone() for name in ("train", "valid", "test")}
    return dataclasses.replace(made, dataset=dataclasses.replace(data, **few), loaded=None)


def _needs_all(config: RunConfig, n: int) -> list[tuple[str, str]]:
    """Return the options that need all particles, and why."""
    found = []
    if not config.scheme.by_row:
        found.append((f"scheme {name_of(config.scheme)}", "looks at all training particles"))
    for spec in config.block_specs:
        if spec.cls.initialise is not FlowBlock.initialise:  # type: ignore[attr-defined]
            name = host().registry.name_of("block", spec.cls)
            found.append((f"block {name}", "is made for all training particles"))
    for solver in config.solver.each:
        if not solver.on_batches:
            found.append((f"solver {name_of(solver)}", "trains on all particles"))
        if solver.batch_size >= n:
            found.append((f"solver.batch_size = {solver.batch_size}", f"asks for all {n} rows"))
        if solver.fresh or solver.chains:
            found.append((f"solver.{'fresh' if solver.fresh else 'chains'}", "draws among all"))
    if config.refine.iterations:
        found.append(("[refine]", "carries all particles from the start again"))
    return found
