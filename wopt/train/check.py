"""Whether the parts of a run fit together, found before any work is done."""

from __future__ import annotations

from collections.abc import Sequence

from wopt.capabilities import Need, require
from wopt.component import Spec
from wopt.errors import WoptError
from wopt.host import host
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.objective import Objective, Sum
from wopt.interfaces.scheme import ProximalScheme

__all__ = ["check_parts"]

_OF_TARGET = Need.POTENTIAL | Need.SCORE | Need.TARGET_SAMPLES | Need.NORMALISED


def check_parts(
    objective: Objective,
    scheme: ProximalScheme,
    block: Spec | FlowBlock | Sequence[Spec | FlowBlock],
    *,
    log_density: bool,
    dim: int = 2,
    condition: int = 0,
) -> None:
    """Raise unless target, block and start provide what objective and scheme need.

    Args:
        objective: With its target.
        scheme: How steps are made.
        block: Which maps, or those of each of the first steps.
        log_density: Whether the start's density is known.
        dim: The dimension, on which what a block provides may depend.
        condition: How many of the coordinates are conditions.

    Raises:
        CapabilityError: What is missing, who would give it, which objectives would fit.
    """
    scheme.check(objective)
    if not isinstance(block, Spec | FlowBlock):  # blocks by step, each of which has to fit
        for choice in block:
            check_parts(
                objective, scheme, choice, log_density=log_density, dim=dim, condition=condition
            )
        return
    maps = new_block(block, dim, condition) if isinstance(block, Spec) else block
    start = Need.LOG_DENSITY if log_density else Need.NOTHING
    for part in _parts(objective):
        _check_objective(part, maps, start)
    of_block = ~(_OF_TARGET | Need.LOG_DENSITY)
    found = f"block {type(maps).__name__}"
    require(f"scheme {type(scheme).__name__}", scheme.needs & of_block, found, maps.provides)


def _parts(objective: Objective) -> list[Objective]:
    """Return the summands, whose targets may differ."""
    if isinstance(objective, Sum):
        return [leaf for _, part in objective.parts for leaf in _parts(part)]
    return [objective]


def _check_objective(objective: Objective, maps: FlowBlock, start: Need) -> None:
    target = objective.target.provides if objective.target is not None else Need.NOTHING
    # An objective without a target might be replaced by one that is given any.
    fits = _fitting((target or _OF_TARGET) | start | maps.provides)
    name = f"objective {type(objective).__name__}"
    owner = type(objective.target).__name__ if objective.target is not None else "none given"
    require(name, objective.needs & _OF_TARGET, f"target {owner}", target, fits)
    whom = "this start, known by samples only,"
    require(name, objective.needs & Need.LOG_DENSITY, whom, start, fits)
    implied = Need.LOG_DET if Need.LOG_DENSITY in objective.needs else Need.NOTHING
    of_block = (objective.needs | implied) & ~(_OF_TARGET | Need.LOG_DENSITY)
    require(name, of_block, f"block {type(maps).__name__}", maps.provides, fits)


def _fitting(provided: Need) -> str:
    """Name the registered objectives whose needs are met."""
    registry, fits = host().registry, []
    for entry in registry.entries("objective"):
        try:
            needs: Need = registry.load("objective", entry.name).needs  # type: ignore[attr-defined]
        except WoptError:
            continue
        if not needs & ~provided:
            fits.append(entry.name)
    return f"objectives that fit: {', '.join(fits)}" if fits else ""
