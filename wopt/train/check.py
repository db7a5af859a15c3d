"""Whether the parts of a run fit together, found before any work is done."""

from __future__ import annotations

from wopt.capabilities import Need, require
from wopt.component import Spec
from wopt.errors import WoptError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme

__all__ = ["check_parts"]


def check_parts(
    objective: Objective,
    scheme: ProximalScheme,
    block: Spec | FlowBlock,
    *,
    log_density: bool,
    dim: int = 2,
) -> None:
    """Raise unless target, block and start provide what objective and scheme need.

    Args:
        objective: With its target.
        scheme: How steps are made.
        block: Which maps.
        log_density: Whether the start's density is known.
        dim: The dimension, on which what a block provides may depend.

    Raises:
        CapabilityError: What is missing, who would give it, which objectives would fit.
    """
    scheme.check(objective)
    maps = block.build(dim=dim) if isinstance(block, Spec) else block
    target = objective.target.provides if objective.target is not None else Need.NOTHING
    start = Need.LOG_DENSITY if log_density else Need.NOTHING
    of_target = Need.POTENTIAL | Need.SCORE | Need.TARGET_SAMPLES | Need.NORMALISED
    # An objective without a target might be replaced by one that is given any.
    fits = _fitting((target or of_target) | start | maps.provides)
    name = type(objective).__name__
    owner = type(objective.target).__name__ if objective.target is not None else "none given"
    require(f"objective {name}", objective.needs & of_target, f"target {owner}", target, fits)
    require(
        f"objective {name}",
        objective.needs & Need.LOG_DENSITY,
        "this start, known by samples only,",
        start,
        fits,
    )
    of_block = ~(of_target | Need.LOG_DENSITY)
    found = f"block {type(maps).__name__}"
    implied = Need.LOG_DET if Need.LOG_DENSITY in objective.needs else Need.NOTHING
    require(f"objective {name}", (objective.needs | implied) & of_block, found, maps.provides, fits)
    require(f"scheme {type(scheme).__name__}", scheme.needs & of_block, found, maps.provides)


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
