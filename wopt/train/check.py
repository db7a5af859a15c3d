"""Whether the parts of a run fit together, found before any work is done."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

from wopt.capabilities import Capability, require
from wopt.component import Spec
from wopt.errors import WoptError
from wopt.host import host
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.objective import Objective, Sum
from wopt.interfaces.scheme import ProximalScheme

__all__ = ["check_parts"]

_OF_TARGET = (
    Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES | Capability.NORMALISED
)


def check_parts(
    objective: Objective,
    scheme: ProximalScheme,
    block: Spec | FlowBlock | Sequence[Spec | FlowBlock],
    *,
    log_density: bool,
    dim: int = 2,
    condition: int = 0,
    rounded: bool = False,
    compiled: bool = False,
) -> None:
    """Raise unless target, block and start provide what objective and scheme need.

    Args:
        objective: The objective, with its target.
        scheme: The scheme of the steps.
        block: The map, or those of each of the first steps.
        log_density: Whether the start's density is known.
        dim: The dimension, on which what a block provides may depend.
        condition: Number of coordinates that are conditions.
        rounded: Whether nets are to be trained in another precision.
        compiled: Whether maps are to be compiled in training.

    Raises:
        CapabilityError: A part is missing; the message says what provides it.
    """
    scheme.check(objective)
    if not isinstance(block, Spec | FlowBlock):  # blocks by step, each of which has to fit
        for choice in block:
            check_parts(
                objective, scheme, choice, log_density=log_density, dim=dim, condition=condition,
                rounded=rounded, compiled=compiled,
            )  # fmt: skip
        return
    maps = new_block(block, dim, condition) if isinstance(block, Spec) else block
    start_provides = Capability.LOG_DENSITY if log_density else Capability.NOTHING
    for part in _parts(objective):
        _check_objective(part, maps, start_provides)
    of_block = ~(_OF_TARGET | Capability.LOG_DENSITY)
    provider = f"block {type(maps).__name__}"
    if rounded:
        require("run.precision", Capability.ROUNDED, provider, maps.provides)
    if compiled:
        copy.deepcopy(maps).compile_training(lambda function: function)
    require(f"scheme {type(scheme).__name__}", scheme.needs & of_block, provider, maps.provides)


def _parts(objective: Objective) -> list[Objective]:
    """Return the summands, whose targets may differ."""
    if isinstance(objective, Sum):
        return [leaf for _, part in objective.parts for leaf in _parts(part)]
    return [objective]


def _check_objective(objective: Objective, maps: FlowBlock, start_provides: Capability) -> None:
    target = objective.target.provides if objective.target is not None else Capability.NOTHING
    # An objective without a target might be replaced by one with any target.
    provided = (target or _OF_TARGET) | start_provides | maps.provides
    fits = functools.partial(_fitting, provided)  # it imports every objective: only if asked
    name = f"objective {type(objective).__name__}"
    owner = type(objective.target).__name__ if objective.target is not None else "none given"
    require(name, objective.needs & _OF_TARGET, f"target {owner}", target, fits)
    whom = "this start, known by samples only,"
    require(name, objective.needs & Capability.LOG_DENSITY, whom, start_provides, fits)
    implied = (
        Capability.LOG_DET if Capability.LOG_DENSITY in objective.needs else Capability.NOTHING
    )
    of_block = (objective.needs | implied) & ~(_OF_TARGET | Capability.LOG_DENSITY)
    require(name, of_block, f"block {type(maps).__name__}", maps.provides, fits)


def _fitting(provided: Capability) -> str:
    """Name the registered objectives whose needs are met."""
    registry, fits = host().registry, []
    for entry in registry.entries("objective"):
        try:
            needs: Capability = registry.load("objective", entry.name).needs  # type: ignore[attr-defined]
        except WoptError:
            continue
        if not needs & ~provided:
            fits.append(entry.name)
    return f"objectives that fit: {', '.join(fits)}" if fits else ""
