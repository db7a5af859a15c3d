"""Maps in float64, for measuring runs whose training was rounded."""

from __future__ import annotations

import copy
import dataclasses

import torch

from wopt.particles import Particles
from wopt.runs.prepare import Prepared
from wopt.train.problem import State

__all__ = ["audited", "doubled"]


def audited(prepared: Prepared, state: State) -> tuple[Prepared, State]:
    """Return a run and its state for measuring: in float64 where training was rounded.

    Training particles, which are not used for measuring, are unchanged.
    """
    if prepared.config.run.precision is None:
        return prepared, state
    blocks = [copy.deepcopy(block).double() for block in state.blocks]
    trace = state.valid
    valid = dataclasses.replace(
        trace,
        before=doubled(trace.before),
        ahead=None if trace.ahead is None else blocks[-1],
    )
    config = prepared.config.model_copy(update={"dtype": "float64"})
    return (
        dataclasses.replace(prepared, config=config, valid=doubled(prepared.valid)),
        dataclasses.replace(state, blocks=tuple(blocks), valid=valid),
    )


def doubled(particles: Particles) -> Particles:
    """Return particles in float64."""
    names = ("points", "weights", "log_det", "log_density_start")
    tensors = {name: getattr(particles, name) for name in names}
    return dataclasses.replace(
        particles, **{name: t.to(torch.float64) for name, t in tensors.items() if t is not None}
    )
